-- Security events (spec §10). No foreign key: the record of a deletion outlives what was deleted. What belongs to no tenant
-- (the cluster, global keys) has the tenant `_system`, which is no slug. `actor` is `tenant/subject`.
CREATE TABLE audit_events (
    tenant      text        NOT NULL,
    at          timestamptz NOT NULL,
    id          uuid        NOT NULL,
    action      text        NOT NULL CHECK (octet_length(action) BETWEEN 1 AND 64),
    outcome     text        NOT NULL CHECK (outcome IN ('ok', 'refused')),
    reason      text        CHECK (octet_length(reason) <= 64),
    actor       text        CHECK (octet_length(actor) <= 512),
    target      text        CHECK (octet_length(target) <= 512),
    client_id   text        CHECK (octet_length(client_id) <= 128),
    request_id  text        NOT NULL CHECK (octet_length(request_id) <= 256),
    ip          text        CHECK (octet_length(ip) <= 64),
    user_agent  text        CHECK (octet_length(user_agent) <= 1024),
    -- Of records of control-plane writes, copied from the replicated outbox: their number and the hash that chains them.
    chain_seq   bigint      CHECK (chain_seq > 0),
    chain_hash  bytea       CHECK (octet_length(chain_hash) = 32),
    PRIMARY KEY (tenant, at, id),
    CHECK ((chain_seq IS NULL) = (chain_hash IS NULL))
);
CREATE INDEX audit_events_actor ON audit_events (tenant, actor, at, id) WHERE actor IS NOT NULL;
CREATE INDEX audit_events_action ON audit_events (tenant, action, at, id);
-- For the job that removes what is older than the retention.
CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_chain ON audit_events (chain_seq) WHERE chain_seq IS NOT NULL;
