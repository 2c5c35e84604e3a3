-- One role per program, with the rights its statements need and no others. Roles belong to the whole cluster,
-- rights to this database; `risiti-admin migrate` calls the function each time, so that roles a person made
-- later get their rights too.

CREATE FUNCTION set_up_roles() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    role_name text;
    may_take  text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['risiti_ingress', 'risiti_ledger_worker', 'risiti_etims_worker',
                                     'risiti_replay', 'risiti_admin'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION
            -- Another database of this cluster was quicker.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE WARNING 'role % was not made: %. Its program keeps the rights of its login', role_name, SQLERRM;
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

CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    line text;
    -- What a program other than risiti-admin may know of a device without its secrets.
    device_columns text := '(id, merchant_id, environment, dialect, base_url, portal_url, pin, branch, serial,
        sdc_id, item_code, item_class, item_name, tax_type, tax_rates, is_default, created_at)';
    lines text[] := ARRAY[
        'SELECT ON refinery_schema_history',
        'SELECT ON report_events, report_payments, report_invoices, report_transitions'
    ];
BEGIN
    lines := lines || CASE role_name
        WHEN 'risiti_ingress' THEN ARRAY[
            'SELECT ON merchants, webhook_secrets, provider_accounts, provider_keys, short_codes, credentials_canary'
        ]
        WHEN 'risiti_ledger_worker' THEN ARRAY[
            'SELECT ON merchants, provider_accounts, short_codes',
            'SELECT ' || device_columns || ' ON devices',
            'SELECT, INSERT, UPDATE ON events, event_conflicts, payments, reversals, invoices, suspects, dead_letters',
            'SELECT, UPDATE ON lanes',
            'SELECT ON lane_leases, submissions',
            'USAGE ON SEQUENCE lane_position'
        ]
        WHEN 'risiti_etims_worker' THEN ARRAY[
            'SELECT ON merchants, devices, events, payments, reversals, foreign_invoice_numbers, credentials_canary',
            'SELECT, UPDATE ON invoices, lanes',
            'SELECT, INSERT, UPDATE ON submissions, hosts, dead_letters',
            'SELECT, INSERT, UPDATE, DELETE ON lane_leases, etims_processes',
            'USAGE ON SEQUENCE lane_position'
        ]
        WHEN 'risiti_replay' THEN ARRAY[
            'SELECT ON merchants, provider_accounts, short_codes, events, payments, reversals, hosts',
            'SELECT, DELETE ON lane_leases',
            'SELECT ' || device_columns || ' ON devices',
            'SELECT, UPDATE ON invoices, lanes',
            'SELECT, INSERT, UPDATE ON submissions, dead_letters, operator_actions, foreign_invoice_numbers',
            'USAGE ON SEQUENCE lane_position'
        ]
        WHEN 'risiti_admin' THEN ARRAY[
            'SELECT, INSERT, UPDATE, DELETE ON merchants, webhook_secrets, provider_accounts, provider_keys,
                short_codes, credentials_canary, devices',
            'SELECT, INSERT, UPDATE ON lanes, hosts, operator_actions',
            'SELECT, INSERT, UPDATE, DELETE ON lane_leases',
            'SELECT, INSERT ON foreign_invoice_numbers',
            'SELECT ON invoices, submissions'
        ]
    END;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role_name);
    FOREACH line IN ARRAY lines LOOP
        EXECUTE format('GRANT %s TO %I', line, role_name);
    END LOOP;
END $$;

SELECT set_up_roles();
