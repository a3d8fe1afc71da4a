//! The frame: how one message lies on the stream.
//!
//! Owns the byte layout and its limits. Must never allocate on the word of the sender: a length above the
//! limit is refused from its four bytes, and a body grows only as it arrives.
//!
//! Layout of protocol version 1, integers big-endian:
//!
//! ```text
//! 0..4   length of everything that follows (5 or more)
//! 4      tag: 1 hello, 2 refusal, 3 answer, 4 failure, 0x80 | kind for a request of that kind
//! 5..9   id: pairs an answer or failure with its request; 0 in hello and refusal
//! 9..    payload
//! ```
//!
//! The first frame each way is a hello (or the server's refusal) and tells the protocol version; a later
//! version may add tags and change payloads, never this layout.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Largest frame between admitted peers, in bytes after the length field.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// Largest frame before the hello is accepted, in bytes after the length field.
pub const HELLO_LIMIT: usize = 64 * 1024;

/// Bytes of tag and id, which the length field counts along with the payload.
pub(super) const HEAD: usize = 5;

/// A body is read into a buffer that starts at most this large and doubles as bytes arrive.
const FIRST_CHUNK: usize = 16 * 1024;

const REQUEST: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// The sender introduces itself.
    Hello,
    /// The server turns the connection down, or ends it; nothing follows.
    Refusal,
    /// The result of the request with this id.
    Answer,
    /// The request with this id was not carried out.
    Failure,
    /// A request of the given kind number (1 to 127).
    Request(u8),
}

impl Tag {
    fn byte(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Refusal => 2,
            Self::Answer => 3,
            Self::Failure => 4,
            Self::Request(kind) => REQUEST | kind,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Hello),
            2 => Some(Self::Refusal),
            3 => Some(Self::Answer),
            4 => Some(Self::Failure),
            REQUEST.. => Some(Self::Request(byte & !REQUEST)),
            0 | 5..REQUEST => None,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: Tag,
    pub(super) id: u32,
    pub(super) payload: Bytes,
}

impl Frame {
    /// A frame outside any request: hello or refusal.
    pub(super) fn control(tag: Tag, payload: Bytes) -> Self {
        Self { tag, id: 0, payload }
    }
}

/// Why a frame could not be read or written. The connection is unusable afterwards.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed the connection between two frames.
    #[error("the peer closed the connection")]
    Closed,
    /// Nothing came for the idle limit.
    #[error("no frame within {0:?}")]
    Idle(Duration),
    /// A frame began but did not finish in time, in either direction.
    #[error("a frame did not complete within {0:?}")]
    Slow(Duration),
    /// The frame is larger than allowed here; nothing of it was stored.
    #[error("frame of {length} bytes where at most {limit} are allowed")]
    TooLarge {
        /// The announced length.
        length: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The bytes are not a frame of this protocol.
    #[error("not a frame of the peer protocol: {0}")]
    Malformed(&'static str),
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Time allowed for reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadTimes {
    /// Until the first byte of the frame.
    pub(super) idle: Duration,
    /// From the first byte to the last.
    pub(super) whole: Duration,
}

/// Reads one frame of at most `limit` bytes. Not cancel-safe: a dropped call loses the position.
pub(super) async fn read_frame<R>(reader: &mut R, limit: usize, times: ReadTimes) -> Result<Frame, FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut first = [0; 1];
    match timeout(times.idle, reader.read(&mut first)).await {
        Err(_elapsed) => return Err(FrameError::Idle(times.idle)),
        Ok(read) => {
            if read? == 0 {
                return Err(FrameError::Closed);
            }
        }
    }
    timeout(times.whole, read_rest(reader, first, limit)).await.unwrap_or(Err(FrameError::Slow(times.whole)))
}

async fn read_rest<R>(reader: &mut R, first: [u8; 1], limit: usize) -> Result<Frame, FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut rest = [0; 3];
    reader.read_exact(&mut rest).await?;
    let [b0] = first;
    let [b1, b2, b3] = rest;
    let length = usize::try_from(u32::from_be_bytes([b0, b1, b2, b3])).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    let Some(size) = length.checked_sub(HEAD) else {
        return Err(FrameError::Malformed("shorter than its own head"));
    };
    let tag = reader.read_u8().await?;
    let id = reader.read_u32().await?;
    let tag = Tag::from_byte(tag).ok_or(FrameError::Malformed("unknown tag"))?;
    Ok(Frame { tag, id, payload: read_body(reader, size).await? })
}

async fn read_body<R>(reader: &mut R, size: usize) -> Result<Bytes, FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut body = BytesMut::with_capacity(size.min(FIRST_CHUNK));
    let mut limited = reader.take(u64::try_from(size).unwrap_or(u64::MAX));
    while body.len() < size {
        if body.len() == body.capacity() {
            body.reserve(body.len().min(size - body.len()));
        }
        if limited.read_buf(&mut body).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(body.freeze())
}

/// Writes one frame and flushes it, within `whole`.
pub(super) async fn write_frame<W>(
    writer: &mut W,
    frame: Frame,
    limit: usize,
    whole: Duration,
) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
{
    let length = frame.payload.len().saturating_add(HEAD);
    let too_large = FrameError::TooLarge { length, limit };
    if length > limit {
        return Err(too_large);
    }
    let mut head = BytesMut::with_capacity(4 + HEAD);
    head.put_u32(u32::try_from(length).map_err(|_| too_large)?);
    head.put_u8(frame.tag.byte());
    head.put_u32(frame.id);
    let mut bytes = head.freeze().chain(frame.payload);
    let write = async {
        writer.write_all_buf(&mut bytes).await?;
        writer.flush().await
    };
    match timeout(whole, write).await {
        Ok(written) => Ok(written?),
        Err(_elapsed) => Err(FrameError::Slow(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: ReadTimes = ReadTimes { idle: Duration::from_secs(5), whole: Duration::from_secs(5) };

    async fn read(bytes: &[u8], limit: usize) -> Result<Frame, FrameError> {
        let mut reader = bytes;
        read_frame(&mut reader, limit, TIMES).await
    }

    #[tokio::test]
    async fn a_frame_comes_back_as_written() {
        let frame = Frame { tag: Tag::Request(3), id: 77, payload: Bytes::from(vec![9; 100_000]) };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, frame.clone(), MAX_FRAME, TIMES.whole).await.unwrap();
        assert_eq!(&bytes[..9], &[0, 1, 0x86, 0xA5, 0x83, 0, 0, 0, 77]);
        assert_eq!(read(&bytes, MAX_FRAME).await.unwrap(), frame);
    }

    #[tokio::test]
    async fn every_tag_survives_its_byte() {
        for byte in 0..=u8::MAX {
            match Tag::from_byte(byte) {
                Some(tag) => assert_eq!(tag.byte(), byte),
                None => assert!(matches!(byte, 0 | 5..=0x7f), "{byte} is a tag"),
            }
        }
    }

    /// S110: oversized frame. The length alone is refused; no byte of the body is waited for.
    #[tokio::test]
    async fn an_oversized_length_is_refused_from_its_four_bytes() {
        let error = read(&[0xff, 0xff, 0xff, 0xff], MAX_FRAME).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { length: 0xffff_ffff, limit: MAX_FRAME }), "{error}");
    }

    #[tokio::test]
    async fn a_large_length_reserves_only_what_arrives() {
        let mut bytes = vec![0x03, 0, 0, 0, 3, 0, 0, 0, 1];
        bytes.extend_from_slice(b"short");
        let error = read(&bytes, MAX_FRAME).await.unwrap_err();
        assert!(matches!(&error, FrameError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof), "{error}");
    }

    #[tokio::test]
    async fn text_of_another_protocol_is_not_a_frame() {
        let error = read(b"GET / HTTP/1.1\r\n\r\n", HELLO_LIMIT).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
        let error = read(&[0, 0, 0, 4, 1, 2, 3, 4], HELLO_LIMIT).await.unwrap_err();
        assert!(matches!(error, FrameError::Malformed(_)), "{error}");
        let error = read(&[0, 0, 0, 5, 9, 0, 0, 0, 0], HELLO_LIMIT).await.unwrap_err();
        assert!(matches!(error, FrameError::Malformed(_)), "{error}");
    }

    #[tokio::test]
    async fn end_of_stream_between_frames_is_a_close() {
        assert!(matches!(read(&[], MAX_FRAME).await.unwrap_err(), FrameError::Closed));
    }

    #[tokio::test]
    async fn a_frame_that_drips_is_cut_off() {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(&[0, 0, 0, 50, 1]).await.unwrap();
        let times = ReadTimes { whole: Duration::from_millis(30), ..TIMES };
        let error = read_frame(&mut near, MAX_FRAME, times).await.unwrap_err();
        assert!(matches!(error, FrameError::Slow(_)), "{error}");
    }

    #[tokio::test]
    async fn a_frame_above_the_limit_is_not_written() {
        let frame = Frame::control(Tag::Hello, Bytes::from(vec![0; 32]));
        let mut bytes = Vec::new();
        let error = write_frame(&mut bytes, frame, 16, TIMES.whole).await.unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { length: 37, limit: 16 }), "{error}");
        assert!(bytes.is_empty());
    }
}
