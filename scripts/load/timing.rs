//! Whether the time of an answer tells who has an account (S60).
//!
//! One client asks the same three things again and again: to log in with a wrong password, to register, to have a password
//! reset; of accounts of several kinds and of nobody. The accounts are there already, each kind with as many as there are
//! samples: `wrong0@example.com` and so on. The order is drawn at random over all requests of a question, so that neither what
//! drifts nor what the request before left behind falls on one kind.

use std::time::{Duration, Instant};

use clap::Args;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::mann_whitney::{compare, median};
use crate::target::http_client;

/// What is asked, and of whom: the kinds of addresses, the first of them nobody's.
const QUESTIONS: [(Question, &[&str]); 3] = [
    (Question::LogIn, &["unknown", "wrong", "disabled", "held", "locked", "unverified"]),
    (Question::Register, &["new", "taken"]),
    (Question::Forgot, &["nobody", "known"]),
];
/// Requests of each kind that are not counted.
const WARM_UP: u64 = 5;
/// What a node may still do when it has answered; whoever measures leaves it in peace.
const PAUSE: Duration = Duration::from_millis(20);
/// A difference whose p is not below this is noise.
const NOISE: f64 = 0.001;

/// Whom to ask, and how often.
#[derive(Debug, Args)]
pub(crate) struct Timing {
    /// Base URL of a node.
    #[arg(long)]
    url: String,
    /// Slug of the tenant.
    #[arg(long, default_value = "crowd")]
    tenant: String,
    /// Requests of each kind that are counted; five more are not, and there must be accounts for those, too.
    #[arg(long, default_value_t = 200)]
    samples: u64,
    /// Differences of at most so many microseconds are put up with.
    #[arg(long, default_value_t = 300.0)]
    most_us: f64,
    /// Number that the order is drawn with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Port for a mail server that takes everything, which the nodes are told of.
    #[arg(long)]
    smtp_port: u16,
}

#[derive(Debug, Clone, Copy)]
enum Question {
    LogIn,
    Register,
    Forgot,
}

/// One request to come.
#[derive(Debug, Clone, Copy)]
struct Turn {
    kind: usize,
    number: u64,
}

pub(crate) async fn run(timing: &Timing) -> Result<(), String> {
    crate::mail_sink::start(timing.smtp_port).await?;
    let http = http_client(Duration::from_secs(30))?;
    let mut random = timing.seed;
    let mut questions = Vec::new();
    for (question, kinds) in QUESTIONS {
        let asked = Asked { timing, http: &http, question, kinds };
        let lots = asked.measure(&mut random).await?;
        questions.push(asked.told(&lots));
    }
    println!("{}", json!({ "samples": timing.samples, "most_us": timing.most_us, "questions": questions }));
    Ok(())
}

/// One question to one node.
struct Asked<'a> {
    timing: &'a Timing,
    http: &'a reqwest::Client,
    question: Question,
    kinds: &'a [&'a str],
}

impl Asked<'_> {
    /// Milliseconds of each kind's answers. All answers must be the same.
    async fn measure(&self, random: &mut u64) -> Result<Vec<Vec<f64>>, String> {
        let turns = |numbers: std::ops::Range<u64>| {
            let of = |number| (0..self.kinds.len()).map(move |kind| Turn { kind, number });
            numbers.flat_map(of).collect::<Vec<Turn>>()
        };
        let count = self.timing.samples;
        let mut measured = turns(0..count);
        shuffle(&mut measured, random);
        let warm_up = turns(count..count + WARM_UP);
        let mut lots = vec![Vec::new(); self.kinds.len()];
        let mut same: Option<(StatusCode, Value)> = None;
        for turn in warm_up.into_iter().chain(measured) {
            let (took, answer) = self.ask(turn).await?;
            let expected = same.get_or_insert_with(|| answer.clone());
            if answer != *expected {
                let kind = self.kinds.get(turn.kind);
                return Err(format!("{:?} {kind:?} is answered {answer:?}, not {expected:?}", self.question));
            }
            if let Some(lot) = lots.get_mut(turn.kind).filter(|_| turn.number < count) {
                lot.push(took.as_secs_f64() * 1000.0);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(lots)
    }

    /// How long the answer took to its last byte, and what it was but for its request id.
    async fn ask(&self, turn: Turn) -> Result<(Duration, (StatusCode, Value)), String> {
        let kind = self.kinds.get(turn.kind).copied().unwrap_or_default();
        let mut body = json!({
            "tenant_id": self.timing.tenant,
            "client_id": "web",
            "email": format!("{kind}{}@example.com", turn.number),
        });
        let path = match self.question {
            Question::LogIn => "login",
            Question::Register => "register",
            Question::Forgot => "forgot",
        };
        match self.question {
            Question::LogIn | Question::Register => body["password"] = json!("an entirely different horse"),
            Question::Forgot => {}
        }
        let url = format!("{}/v1/auth/{path}", self.timing.url.trim_end_matches('/'));
        let request = self.http.post(url).body(body.to_string());
        let begin = Instant::now();
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| error.to_string())?;
        let took = begin.elapsed();
        let mut answer: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        if let Some(members) = answer.as_object_mut() {
            members.remove("request_id");
        }
        Ok((took, (status, answer)))
    }

    fn told(&self, lots: &[Vec<f64>]) -> Value {
        let named: Vec<(&str, &Vec<f64>)> = self.kinds.iter().copied().zip(lots).collect();
        let kinds: Vec<Value> = named
            .iter()
            .map(|(kind, lot)| {
                let mut sorted = (*lot).clone();
                json!({"kind": kind, "median_ms": rounded(median(&mut sorted))})
            })
            .collect();
        let mut pairs = Vec::new();
        for (at, (first, one)) in named.iter().enumerate() {
            for (second, other) in named.iter().skip(at + 1) {
                let Some(found) = compare(one, other) else { continue };
                let looks = found.looks().ceil();
                pairs.push(json!({
                    "first": first,
                    "second": second,
                    "p": found.p,
                    "shift_ms": rounded(found.shift),
                    // Without a difference there is no number, which JSON writes as null.
                    "looks": looks,
                    "tells": found.p < NOISE && found.shift.abs() * 1000.0 > self.timing.most_us,
                }));
            }
        }
        json!({"question": format!("{:?}", self.question), "kinds": kinds, "pairs": pairs})
    }
}

/// To the microsecond.
fn rounded(millis: f64) -> f64 {
    (millis * 1000.0).round() / 1000.0
}

/// Puts the turns into a random order (Fisher and Yates).
fn shuffle(turns: &mut [Turn], random: &mut u64) {
    for last in (1..turns.len()).rev() {
        let places = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        let place = usize::try_from(next(random) % places).unwrap_or_default();
        turns.swap(last, place);
    }
}

/// SplitMix64: good enough for an order.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block design would put one kind behind the other more often than not, and what a request leaves behind would count
    /// as a difference.
    #[test]
    fn in_the_drawn_order_each_kind_follows_each_about_as_often() {
        let mut turns: Vec<Turn> =
            (0..1000).flat_map(|number| (0..2).map(move |kind| Turn { kind, number })).collect();
        shuffle(&mut turns, &mut 1);
        let mut numbers: Vec<u64> = turns.iter().map(|turn| turn.number * 2 + turn.kind as u64).collect();
        let changes = turns.windows(2).filter(|pair| pair[0].kind != pair[1].kind).count();
        assert!((900..1100).contains(&changes), "{changes} of 1999");
        assert_ne!(numbers, (0..2000).collect::<Vec<u64>>());
        numbers.sort_unstable();
        assert_eq!(numbers, (0..2000).collect::<Vec<u64>>());
    }
}
