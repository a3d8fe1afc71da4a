-- Mails that wait for a mail server. A row is written in the transaction of what it tells of and deleted when a server
-- has taken the mail. `sealed` holds recipient and link, encrypted for this row; a dump of it sends nobody anywhere (S112).
CREATE TABLE mail_outbox (
    tenant          text        NOT NULL,
    id              uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('verify', 'reset', 'registered', 'new_device')),
    -- Of the token in its link: a newer token of that purpose makes the mail useless.
    purpose         text        CHECK (purpose IN ('verify', 'reset')),
    sealed          text        NOT NULL CHECK (octet_length(sealed) <= 16384),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL CHECK (expires_at > created_at),
    -- Also the end of the lease of whoever is sending it: a sender that dies gives it back by doing nothing.
    next_attempt_at timestamptz NOT NULL,
    -- Counted when it is taken; who finishes names the number, so that a sender which was too slow changes nothing.
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- How often a server answered and said no.
    refusals        integer     NOT NULL DEFAULT 0 CHECK (refusals >= 0),
    -- Given up; kept a while, without its content, for the operator to see.
    dead_at         timestamptz,
    dead_reason     text        CHECK (dead_reason IN ('expired', 'rejected', 'unreadable')),
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    CHECK ((dead_at IS NULL) = (dead_reason IS NULL)),
    CHECK (dead_at IS NULL OR sealed = '')
);
CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at, tenant) WHERE dead_at IS NULL;
CREATE INDEX mail_outbox_user ON mail_outbox (tenant, user_id);
CREATE INDEX mail_outbox_dead ON mail_outbox (dead_at) WHERE dead_at IS NOT NULL;
