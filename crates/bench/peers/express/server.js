// Claims the checkout id, queues a job, answers.

import express from "express";
import { Queue } from "bullmq";
import Redis from "ioredis";

const DAY_SECONDS = 24 * 60 * 60;

const redis = new Redis(process.env.PEER_REDIS_URL, { maxRetriesPerRequest: null });
const payments = new Queue("payments", { connection: redis });

const app = express();
app.use(express.json());

app.post("/webhooks/daraja/:secret/stk", async (request, response) => {
  const callback = request.body.Body.stkCallback;
  const key = `seen:${callback.CheckoutRequestID}`;
  const isNew = await redis.set(key, "1", "EX", DAY_SECONDS, "NX");
  if (isNew) {
    await payments.add("stk", callback, { removeOnComplete: true });
  }
  response.json({ ResultCode: 0, ResultDesc: "Accepted" });
});

const server = app.listen(0, "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
