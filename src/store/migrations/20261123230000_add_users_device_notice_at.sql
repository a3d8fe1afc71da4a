-- When the account's last notice of a new device went, or will go, to its owner: the next one comes an hour later at the earliest.
ALTER TABLE users ADD COLUMN device_notice_at timestamptz;
