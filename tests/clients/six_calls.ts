// The six calls of the original application, by openapi-fetch with the types that openapi-typescript made.
// node six_calls.js SERVER_URL KEY

import createClient from "openapi-fetch";
import type { paths } from "./wallet.js";

declare const process: { argv: string[] };

const [url, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

function same(found: unknown, expected: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
  }
}

function dataOf<T>(answer: { data?: { data: T }; error?: { message: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.message);
  return answer.data.data;
}

const user = dataOf(await client.POST("/api/v1/users", { body: { phone_number: "9886977545" } }));
same(user.phone_e164, "+919886977545");

const opened = await client.POST("/api/v1/wallet/create", { body: { user_id: user.id, type: "type1" } });
const wallet = dataOf(opened);
same(wallet.status, "active");

const body = { user_id: user.id, wallet_id: wallet.id, amount: 20, is_credit: true };
const params = { header: { "Idempotency-Key": "typescript-1" } };
const made = dataOf(await client.POST("/api/v1/transactions/create", { body, params }));
same([made.amount, made.is_credit], ["20.00", true]);
const again = dataOf(await client.POST("/api/v1/transactions/create", { body, params }));
same([again.id, again.replayed], [made.id, true]);

const path = { user_id: user.id, type: "type1" };
same(dataOf(await client.GET("/api/v1/wallet/get/{user_id}/{type}", { params: { path } })).balance, "20.00");

const page = dataOf(
  await client.GET("/api/v1/transactions/get/{user_id}/{wallet_id}", {
    params: { path: { user_id: user.id, wallet_id: wallet.id }, query: { limit: 5, count: true } },
  }),
);
same([page.transactions.map((each) => each.id), page.count, page.next_cursor], [[made.id], 1, null]);

const total = dataOf(
  await client.POST("/api/v1/transactions/get/total_in_period", {
    body: { user_id: user.id, wallet_id: wallet.id, start_date: "2024-04-19T05:27:13", end_date: "2999" },
  }),
);
same([total.credit_total, total.debit_total, total.closing_balance], ["20.00", "0.00", "20.00"]);

const missing = { user_id: user.id, type: "none" };
const { error } = await client.GET("/api/v1/wallet/get/{user_id}/{type}", { params: { path: missing } });
same(error?.code, "wallet_not_found");
console.log("openapi-typescript and openapi-fetch: 6 calls, a replay and a refusal");
