-- What a program that was taken over can reach: no function that runs with its owner's rights, no payer that its
-- statements do not read, and no column that they do not write.

-- Functions and triggers find our tables and no others. A session's temporary tables and types come before all others
-- unless `pg_temp` is named last, so each function names its path. Nobody has to call a trigger's function or one that
-- sets up rights. Whoever may could put it on a table of their own, have it write what they want, and have it cast a
-- type of theirs with a function of theirs, as the owner. The function below leaves alone what has a path,
-- what belongs to an extension, and what is somebody else's. `risiti-admin migrate` calls it each time, so that a
-- function that is added or replaced later is protected as well.
CREATE FUNCTION protect_functions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    candidate record;
BEGIN
    FOR candidate IN
        SELECT p.oid::regprocedure AS name, coalesce(array_to_string(p.proconfig, ','), '') ~ 'search_path=' AS has_path,
               (p.prosecdef OR p.prorettype = 'trigger'::regtype OR p.proname ~ '^(grant_rights|set_up_roles|protect_)')
                   AND has_function_privilege('public', p.oid, 'EXECUTE') AS is_open
        FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f'
          AND pg_has_role(p.proowner, 'USAGE')
          AND NOT EXISTS (SELECT FROM pg_depend d
              WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    LOOP
        IF NOT candidate.has_path THEN
            EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', candidate.name, current_schema());
        END IF;
        IF candidate.is_open THEN
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', candidate.name);
        END IF;
    END LOOP;
END $$;

-- No program makes a temporary table. Whoever cannot make one cannot put it before a table of ours. The right to make
-- other objects in the schema is PUBLIC's in databases of PostgreSQL 14 and older.
CREATE FUNCTION protect_database() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF has_database_privilege('public', current_database(), 'TEMPORARY') THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
    IF has_database_privilege('public', current_database(), 'TEMPORARY') THEN
        RAISE WARNING 'everybody may make temporary tables in database %: its owner should run REVOKE TEMPORARY ON DATABASE % FROM PUBLIC',
            current_database(), quote_ident(current_database());
    END IF;
    IF has_schema_privilege('public', current_schema(), 'CREATE') THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    END IF;
    IF has_schema_privilege('public', current_schema(), 'CREATE') THEN
        RAISE WARNING 'everybody may make tables in schema %: its owner should run REVOKE CREATE ON SCHEMA % FROM PUBLIC',
            current_schema(), quote_ident(current_schema());
    END IF;
END $$;

CREATE OR REPLACE FUNCTION set_up_roles() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    role_name text;
    may_take  text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    PERFORM protect_database();
    PERFORM protect_functions();
    FOREACH role_name IN ARRAY ARRAY['risiti_ingress', 'risiti_ledger_worker', 'risiti_etims_worker',
                                     'risiti_replay', 'risiti_admin', 'risiti_report'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION
            -- Another database of this cluster was quicker.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE WARNING 'role % was not made: %. What would take it keeps the rights of its login',
                    role_name, SQLERRM;
                CONTINUE;
        END;
        BEGIN
            IF NOT pg_has_role(role_name, may_take) THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            IF NOT pg_has_role(role_name, may_take) THEN
                RAISE WARNING 'this login may not take role %: %', role_name, SQLERRM;
            END IF;
        END;
        PERFORM grant_rights(role_name);
    END LOOP;
END $$;

-- The columns of a table, but for these. A column that is added later is among them.
CREATE FUNCTION columns_but(of_table text, left_out text[]) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(quote_ident(of_table)) AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname <> ALL(left_out)
$$;

-- Each line replaces a right on a whole table by one on columns. `docs/data-model.md` lists what comes of it.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_columns;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    view_name text;
    narrowed  record;
    -- What a payment, an invoice and a dead letter are of, and when they were recorded, is nobody's to change.
    of_payment  text := columns_but('payments', '{id, merchant_id, provider, recorded_at, flagged_at}');
    of_reversal text := columns_but('reversals',
        '{id, merchant_id, provider, reversal_key, of_money_key, recorded_at}');
    of_invoice  text := columns_but('invoices', '{id, payment_id, merchant_id, device_id, kind, amount, currency,
        event_id, sale_id, reversal_id, created_at}');
    new_invoice text := 'id, payment_id, merchant_id, device_id, kind, state, amount, event_id, sale_id, reversal_id,
        moved_by, moved_because, moved_event';
    of_letter   text := columns_but('dead_letters', '{id, merchant_id, invoice_id, provider, body_sha256, amount,
        currency, replays, tried_in}');
    new_letter  text := columns_but('dead_letters', '{dead_at, replays, tried_in, solved_at, solved_as,
        solved_by, solved_reason, body_removed_at}');
    of_lease    text := columns_but('lane_leases', '{device_id}');
    new_action  text := columns_but('operator_actions', '{at}');
    end_of_run  text := 'matched, done, skipped, failed, ended_at';
BEGIN
    PERFORM grant_rights_before_columns(role_name);

    FOR narrowed IN SELECT * FROM (VALUES
        ('risiti_ingress', 'SELECT', 'provider_keys', columns_but('provider_keys', '{fingerprint}')),

        ('risiti_ledger_worker', 'SELECT', 'provider_accounts', NULL),
        ('risiti_ledger_worker', 'INSERT', 'events',
            columns_but('events', '{recorded_at, duplicates, body_sha256, body_removed_at}')),
        ('risiti_ledger_worker', 'UPDATE', 'event_conflicts', NULL),
        ('risiti_ledger_worker', 'INSERT', 'payments',
            columns_but('payments', '{folded_into, recorded_at, flagged_at}')),
        ('risiti_ledger_worker', 'UPDATE', 'payments', of_payment),
        ('risiti_ledger_worker', 'INSERT', 'reversals', columns_but('reversals', '{recorded_at}')),
        ('risiti_ledger_worker', 'UPDATE', 'reversals', of_reversal),
        ('risiti_ledger_worker', 'INSERT', 'invoices', new_invoice),
        ('risiti_ledger_worker', 'UPDATE', 'invoices',
            'device_id, position, state, moved_by, moved_because, moved_event'),
        ('risiti_ledger_worker', 'INSERT', 'suspects', 'event_id, tries'),
        ('risiti_ledger_worker', 'UPDATE', 'suspects', 'tries, last_at, closed_at'),
        ('risiti_ledger_worker', 'INSERT', 'dead_letters', new_letter),
        ('risiti_ledger_worker', 'UPDATE', 'dead_letters', of_letter),
        ('risiti_ledger_worker', 'UPDATE', 'lanes', 'token_at'),

        ('risiti_etims_worker', 'SELECT', 'events', columns_but('events', '{body}')),
        ('risiti_etims_worker', 'SELECT', 'payments',
            columns_but('payments', '{checkout_id, reference, payer_short_code}')),
        ('risiti_etims_worker', 'UPDATE', 'invoices', of_invoice),
        ('risiti_etims_worker', 'UPDATE', 'lanes', columns_but('lanes', '{device_id, host, resumed_at}')),
        ('risiti_etims_worker', 'INSERT', 'submissions', columns_but('submissions',
            '{id, sent_at, outcome, code, message, answered_at, body_sha256, body_removed_at}')),
        ('risiti_etims_worker', 'INSERT', 'hosts', NULL),
        ('risiti_etims_worker', 'UPDATE', 'hosts', columns_but('hosts', '{host}')),
        ('risiti_etims_worker', 'INSERT', 'dead_letters', new_letter),
        ('risiti_etims_worker', 'UPDATE', 'dead_letters', of_letter),
        ('risiti_etims_worker', 'UPDATE', 'lane_leases', of_lease),
        ('risiti_etims_worker', 'UPDATE', 'etims_processes',
            columns_but('etims_processes', '{process_id, host}')),

        ('risiti_replay', 'SELECT', 'provider_accounts', NULL),
        ('risiti_replay', 'SELECT', 'events', columns_but('events', '{body}')),
        ('risiti_replay', 'SELECT', 'event_conflicts', columns_but('event_conflicts', '{body}')),
        ('risiti_replay', 'UPDATE', 'payments', of_payment),
        ('risiti_replay', 'UPDATE', 'reversals', of_reversal),
        ('risiti_replay', 'INSERT', 'invoices', new_invoice),
        ('risiti_replay', 'UPDATE', 'invoices', of_invoice),
        ('risiti_replay', 'UPDATE', 'lanes', columns_but('lanes', '{device_id, host, resumed_at}')),
        ('risiti_replay', 'INSERT', 'submissions', NULL),
        ('risiti_replay', 'INSERT', 'dead_letters', new_letter),
        ('risiti_replay', 'UPDATE', 'dead_letters', of_letter || ', replays, tried_in'),
        ('risiti_replay', 'UPDATE', 'lane_leases', of_lease),
        ('risiti_replay', 'INSERT', 'foreign_invoice_numbers',
            columns_but('foreign_invoice_numbers', '{resolved_at}')),
        ('risiti_replay', 'UPDATE', 'foreign_invoice_numbers', NULL),
        ('risiti_replay', 'INSERT', 'operator_actions', new_action),
        ('risiti_replay', 'UPDATE', 'operator_actions', end_of_run),

        ('risiti_admin', 'DELETE', 'merchants', NULL),
        ('risiti_admin', 'UPDATE', 'merchants', columns_but('merchants', '{id, created_at}')),
        ('risiti_admin', 'DELETE', 'webhook_secrets', NULL),
        ('risiti_admin', 'UPDATE', 'webhook_secrets',
            columns_but('webhook_secrets', '{id, merchant_id, secret_sha256, created_at}')),
        ('risiti_admin', 'DELETE', 'provider_accounts', NULL),
        ('risiti_admin', 'UPDATE', 'provider_accounts',
            columns_but('provider_accounts', '{id, merchant_id, provider, created_at}')),
        ('risiti_admin', 'UPDATE', 'provider_keys',
            columns_but('provider_keys', '{id, account_id, live, created_at}')),
        ('risiti_admin', 'DELETE', 'short_codes', NULL),
        ('risiti_admin', 'DELETE', 'credentials_canary', NULL),
        ('risiti_admin', 'DELETE', 'devices', NULL),
        ('risiti_admin', 'UPDATE', 'devices', columns_but('devices', '{id, pin, branch, created_at}')),
        ('risiti_admin', 'INSERT', 'lanes', 'device_id, host, next_invoice_no, moved_by'),
        ('risiti_admin', 'UPDATE', 'lanes', columns_but('lanes', '{device_id, resumed_at}')),
        ('risiti_admin', 'INSERT', 'hosts', 'host'),
        ('risiti_admin', 'UPDATE', 'hosts', NULL),
        ('risiti_admin', 'UPDATE', 'lane_leases', of_lease),
        ('risiti_admin', 'INSERT', 'foreign_invoice_numbers',
            columns_but('foreign_invoice_numbers', '{resolved_at}')),
        ('risiti_admin', 'INSERT', 'operator_actions', new_action),
        ('risiti_admin', 'UPDATE', 'operator_actions', end_of_run)
    ) AS r (of_role, verb, of_table, columns) WHERE r.of_role = role_name
    LOOP
        EXECUTE format('REVOKE %s ON %I FROM %I', narrowed.verb, narrowed.of_table, role_name);
        IF narrowed.columns IS NOT NULL THEN
            EXECUTE format('GRANT %s (%s) ON %I TO %I', narrowed.verb, narrowed.columns, narrowed.of_table, role_name);
        END IF;
    END LOOP;

    -- The views show every payer. Whoever reports reads them and nothing else. What a person looks up with
    -- risiti-replay and risiti-admin shows moves, which name nobody.
    FOR view_name IN
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v' AND c.relname LIKE 'report\_%'
    LOOP
        IF role_name = 'risiti_report'
            OR view_name = 'report_transitions' AND role_name IN ('risiti_replay', 'risiti_admin') THEN
            EXECUTE format('GRANT SELECT ON %I TO %I', view_name, role_name);
        ELSE
            EXECUTE format('REVOKE SELECT ON %I FROM %I', view_name, role_name);
        END IF;
    END LOOP;
    IF role_name = 'risiti_report' THEN
        EXECUTE format('REVOKE SELECT ON refinery_schema_history FROM %I', role_name);
    END IF;
    IF role_name = 'risiti_ledger_worker' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION probe_writes() TO %I', role_name);
    END IF;
END $$;

-- What a payment brought in is fixed once it is settled, whoever asks.
CREATE OR REPLACE FUNCTION guard_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending', 'success'), ('pending', 'failed'), ('pending', 'folded'),
        ('failed', 'success'), ('failed', 'folded'), ('success', 'reversed')
    ) THEN
        RAISE EXCEPTION 'payment cannot move from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_move_legal';
    END IF;
    IF OLD.money_key IS NOT NULL AND NEW.money_key IS DISTINCT FROM OLD.money_key THEN
        RAISE EXCEPTION 'a money key is set once' USING ERRCODE = 'check_violation', CONSTRAINT = 'money_key_set_once';
    END IF;
    IF OLD.settled_at IS NOT NULL AND (NEW.amount, NEW.currency, NEW.settled_at)
        IS DISTINCT FROM (OLD.amount, OLD.currency, OLD.settled_at) THEN
        RAISE EXCEPTION 'what a settled payment brought in does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'settled_once';
    END IF;
    RETURN NEW;
END $$;

-- Who did what by hand stays as it was written. A run that is under way is ended once.
CREATE FUNCTION guard_operator_action() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_the_end text[] := ARRAY['matched', 'done', 'skipped', 'failed', 'ended_at'];
BEGIN
    IF OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL
        OR to_jsonb(NEW) - of_the_end IS DISTINCT FROM to_jsonb(OLD) - of_the_end THEN
        RAISE EXCEPTION 'what a person did is not rewritten'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'operator_action_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON operator_actions FOR EACH ROW EXECUTE FUNCTION guard_operator_action();
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON operator_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();

SELECT set_up_roles();
