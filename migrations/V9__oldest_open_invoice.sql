-- The age of the oldest invoice that could be filed is what a person is woken by. It is found by its place in
-- time, so that a long backlog does not make the reading slow when it matters most.
CREATE INDEX invoices_open_by_age ON invoices (created_at) WHERE state IN ('pending', 'submitting');
