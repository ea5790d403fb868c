-- One credit of one wallet in a transaction of its own, as a program that commits each by itself would write it:
-- the wallet's row is locked, what it has is read from its last transaction, and the next one is written.
-- The same rows as the wallet's own; the hash is only as long as it.
BEGIN;
SELECT id FROM wallets WHERE id = 1 FOR UPDATE;
INSERT INTO transactions (wallet_id, seq, is_credit, amount, credit_total, debit_total, credit_count, at_us, hash)
SELECT wallet_id, seq + 1, 1, 2000, credit_total + 2000, debit_total, credit_count + 1,
    CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT), sha256(hash)
FROM transactions WHERE wallet_id = 1 ORDER BY seq DESC LIMIT 1;
COMMIT;
