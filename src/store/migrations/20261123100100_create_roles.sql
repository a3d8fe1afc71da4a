-- Roles of people, and what a role may do (EP125-EP128). Both are names of the tenant's own choosing.
CREATE TABLE user_roles (
    tenant     text        NOT NULL,
    user_id    uuid        NOT NULL,
    role       text        NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 64),
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, user_id, role),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE TABLE role_permissions (
    tenant     text        NOT NULL,
    role       text        NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 64),
    permission text        NOT NULL CHECK (octet_length(permission) BETWEEN 1 AND 64),
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, role, permission)
);
