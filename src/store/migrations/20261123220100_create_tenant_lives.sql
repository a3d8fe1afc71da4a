-- Of which life of a tenant the rows are. A slug can be deleted and made again; who comes then finds nobody there. Whoever makes
-- an account holds the row shared until the commit, whoever moves the tenant on to its next life holds it alone.
CREATE TABLE tenant_lives (
    tenant     text        PRIMARY KEY,
    -- When the tenant's document was made: tells one life from another.
    created_at timestamptz NOT NULL,
    -- A revision of that document. It is never used again for the slug, so a later life has a higher one whatever the clocks said.
    revision   bigint      NOT NULL CHECK (revision >= 0),
    -- The cluster that said so. Another one, which was made anew over this database, knows nothing of a deletion.
    cluster_id uuid        NOT NULL,
    -- Set by the deletion. Without it nobody has deleted these people, whatever a catalogue that came back from a copy says.
    ended      boolean     NOT NULL DEFAULT false
);
