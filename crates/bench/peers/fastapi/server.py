"""Claims the checkout id, answers, and inserts the payment in a background task."""

import json
import os
import socket
from contextlib import asynccontextmanager

import asyncpg
import redis.asyncio
import uvicorn
from fastapi import BackgroundTasks, FastAPI, Request

DAY_SECONDS = 24 * 60 * 60

INSERT = """INSERT INTO payments (checkout_id, receipt, amount, phone, body)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (checkout_id) DO NOTHING"""


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.redis = redis.asyncio.from_url(os.environ["PEER_REDIS_URL"])
    app.state.pool = await asyncpg.create_pool(os.environ["PEER_DATABASE_URL"], max_size=20)
    print(f"listening on 127.0.0.1:{PORT}", flush=True)
    yield
    await app.state.pool.close()
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


async def record(callback: dict) -> None:
    items = {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}
    await app.state.pool.execute(
        INSERT,
        callback["CheckoutRequestID"],
        items["MpesaReceiptNumber"],
        items["Amount"],
        str(items["PhoneNumber"]),
        json.dumps(callback),
    )


@app.post("/webhooks/daraja/{secret}/stk")
async def stk(secret: str, request: Request, background: BackgroundTasks):
    body = await request.json()
    callback = body["Body"]["stkCallback"]
    key = f"seen:{callback['CheckoutRequestID']}"
    if await app.state.redis.set(key, "1", ex=DAY_SECONDS, nx=True):
        background.add_task(record, callback)
    return {"ResultCode": 0, "ResultDesc": "Accepted"}


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    PORT = listener.getsockname()[1]
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
