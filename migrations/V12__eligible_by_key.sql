-- The same answers, with a sale's state read by its key. For an EXISTS the planner put all filed invoices into a
-- hash table as soon as a lane had a long backlog, so each look at a lane read the whole table.
CREATE OR REPLACE FUNCTION lane_has_work(device uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM invoices i WHERE i.device_id = device AND i.state = 'submitting')
        OR EXISTS (SELECT FROM invoices i WHERE i.device_id = device AND i.state = 'pending' AND (i.kind = 'sale'
            OR (SELECT s.state FROM invoices s WHERE s.id = i.sale_id) = 'success'))
        OR EXISTS (SELECT FROM invoices i WHERE i.device_id = device AND i.look_up_due_at <= now())
$$;
