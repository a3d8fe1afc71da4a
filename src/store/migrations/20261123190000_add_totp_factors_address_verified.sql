-- Whether the account's address was verified when the factor was enrolled. One that was enrolled before is of whoever made the
-- account, and goes when the owner of the address resets the password (S75); a later one stays whatever becomes of the address.
ALTER TABLE totp_factors ADD COLUMN address_verified boolean NOT NULL DEFAULT true;
