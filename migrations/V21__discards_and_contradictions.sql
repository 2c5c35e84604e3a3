-- A person discards invoices that wait, which leaves a dead letter that is solved at once, and sees in which facts a
-- message contradicts another. That is read from the bodies.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_discards;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM grant_rights_before_discards(role_name);
    IF role_name = 'risiti_replay' THEN
        EXECUTE format('GRANT INSERT (solved_at, solved_as, solved_by, solved_reason) ON dead_letters TO %I', role_name);
        EXECUTE format('GRANT SELECT (body) ON events TO %I', role_name);
        EXECUTE format('GRANT SELECT (body) ON event_conflicts TO %I', role_name);
    END IF;
END $$;
SELECT set_up_roles();
