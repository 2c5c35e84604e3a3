-- Money that goes back, and payments that a person has to look at.

-- A refund is named by its reference, by its id, and by the dispute that it settles.
ALTER TABLE reversals ADD COLUMN other_keys text[] NOT NULL DEFAULT '{}';
