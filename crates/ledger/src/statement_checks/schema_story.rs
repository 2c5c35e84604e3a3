//! Statements that call every function of the schema and fire every trigger.
//!
//! A test fails when a function is added that none of them reaches.

/// In an order in which each finds what it needs. Names are qualified, because a session may put
/// others before them.
pub(super) const STORY: &[&str] = &[
    "INSERT INTO public.merchants (id, slug, name) VALUES
        ('00000000-0000-0000-0000-00000000000a', 'acme', 'Acme'),
        ('00000000-0000-0000-0000-0000000000a2', 'empty', 'Empty')",
    "INSERT INTO public.provider_accounts (id, merchant_id, provider)
        VALUES ('00000000-0000-0000-0000-00000000000c', '00000000-0000-0000-0000-00000000000a', 'daraja')",
    "INSERT INTO public.devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code,
        item_class, item_name, tax_type)
        SELECT ('00000000-0000-0000-0000-0000000000d' || n)::uuid, '00000000-0000-0000-0000-00000000000a', 'sandbox',
            'legacy', 'http://127.0.0.1:1', 'P000000001X', '0' || n, 'SN1', 'I', 'C', 'Services', 'B'
        FROM generate_series(1, 2) n",
    "INSERT INTO public.lanes (device_id, host, next_invoice_no, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000d1', 'http://127.0.0.1:1', 5, 'test')",
    "INSERT INTO public.payments (id, merchant_id, provider, method, money_key, amount, currency, authenticated_by,
        state, settled_at, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-00000000000a', 'daraja',
            'mobile_money', 'QK1', 10, 'KES', 'path', 'success', now(), 'test')",
    "INSERT INTO public.payments (id, merchant_id, provider, method, conflict, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000b2', '00000000-0000-0000-0000-00000000000a', 'daraja',
            'mobile_money', true, 'test')",
    "UPDATE public.payments SET conflict = false WHERE id = '00000000-0000-0000-0000-0000000000b2'",
    "UPDATE public.payments SET state = 'failed' WHERE id = '00000000-0000-0000-0000-0000000000b2'",
    "INSERT INTO public.events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
        received_at, body)
        VALUES ('00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-00000000000a', 'daraja', 'stk', 'k1',
            '', 'path', now(), 'body')",
    "INSERT INTO public.events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
        received_at, recorded_at, body)
        VALUES ('00000000-0000-0000-0000-0000000000e2', '00000000-0000-0000-0000-00000000000a', 'daraja', 'stk', 'k2',
            '', 'path', now(), now() - interval '1 year', 'body')",
    "UPDATE public.events SET payment_id = '00000000-0000-0000-0000-0000000000b1'",
    "INSERT INTO public.reversals (id, merchant_id, provider, reversal_key, of_money_key, state, event_id)
        VALUES ('00000000-0000-0000-0000-0000000000f1', '00000000-0000-0000-0000-00000000000a', 'daraja', 'r1', 'QK1',
            'failed', '00000000-0000-0000-0000-0000000000e1')",
    "INSERT INTO public.invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000b1',
            '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000d2', 'sale', 10, 'test')",
    "INSERT INTO public.invoices (id, payment_id, merchant_id, device_id, kind, state, amount, sale_id, reversal_id,
        moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000c2', '00000000-0000-0000-0000-0000000000b1',
            '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000d1', 'credit_note', 'pending', 4,
            '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000f1', 'test')",
    "UPDATE public.invoices SET device_id = '00000000-0000-0000-0000-0000000000d1'",
    "UPDATE public.lanes SET halted_at = now(), halt_reason = 'by hand', expected_no = 4, moved_by = 'test'",
    "UPDATE public.lanes SET next_invoice_no = 4",
    "UPDATE public.invoices SET state = 'discarded' WHERE kind = 'credit_note'",
    "UPDATE public.invoices SET state = 'submitting', invoice_no = 4 WHERE kind = 'sale'",
    "INSERT INTO public.submissions (invoice_id, device_id, invoice_no, claim_id, body)
        VALUES ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000d1', 4,
            '00000000-0000-0000-0000-0000000000cc', 'body')",
    "UPDATE public.submissions SET sent_at = now() - interval '1 year', outcome = 'ok'",
    "UPDATE public.invoices SET state = 'success', receipt_no = 7 WHERE kind = 'sale'",
    "UPDATE public.lanes SET halted_at = NULL, halt_reason = NULL, moved_by = 'test'",
    "UPDATE public.submissions SET body = NULL, body_sha256 = sha256(body), body_removed_at = now()",
    "UPDATE public.events SET body = NULL, body_sha256 = sha256(body), body_removed_at = now()
        WHERE delivery_key = 'k2'",
    "INSERT INTO public.dead_letters (id, cause, provider, body, body_sha256, headers, solved_at, solved_as)
        VALUES ('00000000-0000-0000-0000-0000000000aa', 'unreadable', 'daraja', 'x', sha256('x'), '{}',
            now() - interval '1 year', 'discarded')",
    "UPDATE public.dead_letters SET body = NULL, headers = NULL, body_removed_at = now()",
    "INSERT INTO public.operator_actions (id, operator, command)
        VALUES ('00000000-0000-0000-0000-0000000000ac', 'wanjiru', 'run')",
    "UPDATE public.operator_actions SET matched = 1, done = 1, skipped = 0, failed = 0, ended_at = now()",
    "DELETE FROM public.merchants WHERE slug = 'empty'",
    "SELECT public.lane_has_work('00000000-0000-0000-0000-0000000000d1')",
    "SELECT public.lane_state('00000000-0000-0000-0000-0000000000d1', false)",
    "SELECT public.payment_is_closed('00000000-0000-0000-0000-0000000000b1')",
    "SELECT public.event_is_closed('00000000-0000-0000-0000-0000000000e1',
        '00000000-0000-0000-0000-0000000000b1', false)",
    "SELECT public.submission_is_closed('00000000-0000-0000-0000-0000000000c1')",
    "SELECT public.submission_is_filed('00000000-0000-0000-0000-0000000000c1', 4, 'ok')",
    "SELECT public.reversal_is_open('waiting')",
    "SELECT public.body_age_min()",
    "SELECT public.probe_writes()",
];

/// They only raise an error and read no table. A call that fails is not counted.
pub(super) const ONLY_REFUSE: &[&str] = &[
    "guard_buyer",
    "refuse_deletion",
    "refuse_new_owner",
    "refuse_removal",
    "refuse_rewriting_history",
    "refuse_unknown",
];

/// Only `risiti-admin migrate` calls them, as the owner.
pub(super) const SET_UP: &str = "^(grant_rights|set_up_roles|protect_|columns_but)";
