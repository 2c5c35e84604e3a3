// Takes jobs and inserts payments.

import { Worker } from "bullmq";
import Redis from "ioredis";
import pg from "pg";

const CONCURRENCY = 50;

const redis = new Redis(process.env.PEER_REDIS_URL, { maxRetriesPerRequest: null });
const pool = new pg.Pool({ connectionString: process.env.PEER_DATABASE_URL, max: 20 });

const INSERT = `INSERT INTO payments (checkout_id, receipt, amount, phone, body)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (checkout_id) DO NOTHING`;

async function record(job) {
  const callback = job.data;
  const items = Object.fromEntries(
    callback.CallbackMetadata.Item.map((item) => [item.Name, item.Value]),
  );
  await pool.query(INSERT, [
    callback.CheckoutRequestID,
    items.MpesaReceiptNumber,
    items.Amount,
    String(items.PhoneNumber),
    JSON.stringify(callback),
  ]);
}

const worker = new Worker("payments", record, { connection: redis, concurrency: CONCURRENCY });
await worker.waitUntilReady();
console.log("worker ready");
