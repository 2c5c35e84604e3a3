-- What a person needs to judge a halt, and which secrets are in use.

-- What the look-up showed that halted the lane, and the number that KRA said it expects next. Both are about the
-- lane's next number as it was, so they end with that number and with the halt.
ALTER TABLE lanes
    ADD COLUMN found jsonb CONSTRAINT found_is_an_object CHECK (jsonb_typeof(found) = 'object'),
    ADD COLUMN expected_no bigint CONSTRAINT expected_no_from_one CHECK (expected_no >= 1);

CREATE FUNCTION forget_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.found := NULL;
    NEW.expected_no := NULL;
    RETURN NEW;
END $$;
-- Most updates of a lane have nothing to forget, and do not call the function.
CREATE TRIGGER forget BEFORE UPDATE ON lanes FOR EACH ROW
    WHEN ((OLD.found IS NOT NULL OR OLD.expected_no IS NOT NULL)
        AND (NEW.next_invoice_no <> OLD.next_invoice_no OR OLD.halted_at IS NOT NULL AND NEW.halted_at IS NULL))
    EXECUTE FUNCTION forget_evidence();

-- When a path secret or a signing key last let a webhook in. It is apart from both, because a change of theirs makes
-- every ingress read its directory again.
CREATE TABLE credential_uses (
    credential_id  uuid PRIMARY KEY,
    last_used_at   timestamptz NOT NULL
);

ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_evidence;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    PERFORM grant_rights_before_evidence(role_name);
    FOREACH line IN ARRAY CASE role_name
        WHEN 'risiti_ledger_worker' THEN ARRAY[
            'SELECT, INSERT, UPDATE ON credential_uses',
            'SELECT (id) ON webhook_secrets, provider_keys'
        ]
        WHEN 'risiti_admin' THEN ARRAY['SELECT, DELETE ON credential_uses']
        ELSE ARRAY[]::text[]
    END LOOP
        EXECUTE format('GRANT %s TO %I', line, role_name);
    END LOOP;
END $$;
SELECT set_up_roles();
