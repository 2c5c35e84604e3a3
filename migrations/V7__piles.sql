-- Long piles stay quick: a page of dead letters, and the next one of a run, are found by their place in time,
-- and the count of replays reads replayed ones only.
CREATE INDEX dead_letters_by_time ON dead_letters (dead_at, id);
CREATE INDEX dead_letters_replayed ON dead_letters (replays) WHERE replays > 0;
-- What is not filed yet, by lane: `lanes list` counts it, and a device that has any keeps its identity.
CREATE INDEX invoices_not_filed ON invoices (device_id) WHERE state <> 'success';
