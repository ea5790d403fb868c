PRAGMA application_id=1463897172;
PRAGMA user_version=7;
BEGIN;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0007');
CREATE TABLE users (
	id INTEGER NOT NULL, 
	phone_number TEXT NOT NULL, 
	phone_e164 TEXT NOT NULL, 
	phone_region TEXT, 
	phone_national TEXT, 
	name TEXT, 
	created_at_us INTEGER NOT NULL, key TEXT CONSTRAINT ck_users_key CHECK (length(key) BETWEEN 1 AND 255), 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_phone_e164 UNIQUE (phone_e164), 
	CONSTRAINT uq_users_phone_region_phone_national UNIQUE (phone_region, phone_national), 
	CONSTRAINT ck_users_phone_e164 CHECK (phone_e164 LIKE '+%'), 
	CONSTRAINT ck_users_phone_national CHECK ((phone_region IS NULL) = (phone_national IS NULL))
)
 STRICT

;
INSERT INTO users VALUES (1, '9886977544', '+919886977544', 'IN', '9886977544', 'Asha', 1795801498441604, NULL);
INSERT INTO users VALUES (2, '9886977545', '+919886977545', 'IN', '9886977545', NULL, 1795801498842482, NULL);
CREATE TABLE wallets (
	id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	currency TEXT NOT NULL, 
	exponent INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	own_minimum INTEGER, 
	created_at_us INTEGER NOT NULL, maximum INTEGER CONSTRAINT ck_wallets_maximum CHECK (maximum BETWEEN -1000000000000000 AND 1000000000000000), daily_debit INTEGER CONSTRAINT ck_wallets_daily_debit CHECK (daily_debit BETWEEN 0 AND 1000000000000000), held INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_wallets_held CHECK (held BETWEEN 0 AND 9000000000000000000), holds INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_wallets_holds CHECK (holds >= 0), key TEXT CONSTRAINT ck_wallets_key CHECK (length(key) BETWEEN 1 AND 255), opening_minimum INTEGER CONSTRAINT ck_wallets_opening_minimum CHECK (opening_minimum BETWEEN -1000000000000000 AND 1000000000000000), 
	CONSTRAINT pk_wallets PRIMARY KEY (id), 
	CONSTRAINT uq_wallets_user_id_type UNIQUE (user_id, type), 
	CONSTRAINT ck_wallets_type CHECK (length(type) BETWEEN 1 AND 32), 
	CONSTRAINT ck_wallets_exponent CHECK (exponent BETWEEN 0 AND 18), 
	CONSTRAINT ck_wallets_status CHECK (status IN ('active', 'frozen', 'closed')), 
	CONSTRAINT ck_wallets_own_minimum CHECK (own_minimum BETWEEN -1000000000000000 AND 1000000000000000), 
	CONSTRAINT fk_wallets_user_id FOREIGN KEY(user_id) REFERENCES users (id)
)
 STRICT

;
INSERT INTO wallets VALUES (1, 1, 'main', 'INR', 2, 'active', 2000, 1795801499420417, NULL, NULL, 500, 2, NULL, 2000);
INSERT INTO wallets VALUES (2, 2, 'points', 'PTS/0', 0, 'active', NULL, 1795801499978000, NULL, NULL, 0, 0, NULL, NULL);
CREATE TABLE transactions (
	wallet_id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	is_credit INTEGER NOT NULL, 
	amount INTEGER NOT NULL, 
	credit_total INTEGER NOT NULL, 
	debit_total INTEGER NOT NULL, 
	credit_count INTEGER NOT NULL, 
	at_us INTEGER NOT NULL, 
	note TEXT, 
	"key" TEXT, 
	hash BLOB NOT NULL, meta TEXT CONSTRAINT ck_transactions_meta CHECK (length(meta) <= 4096), peer_wallet_id INTEGER CONSTRAINT ck_transactions_peer_wallet_id CHECK (peer_wallet_id >= 1), peer_seq INTEGER CONSTRAINT ck_transactions_peer_seq CHECK (peer_seq >= 1), reverses INTEGER CONSTRAINT ck_transactions_reverses CHECK (reverses >= 1), hold INTEGER CONSTRAINT ck_transactions_hold CHECK (hold >= 1), forced INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_transactions_forced CHECK (forced IN (0, 1)), user_key INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_transactions_user_key CHECK (user_key IN (0, 1)), 
	CONSTRAINT pk_transactions PRIMARY KEY (wallet_id, seq), 
	CONSTRAINT ck_transactions_seq CHECK (seq >= 1), 
	CONSTRAINT ck_transactions_is_credit CHECK (is_credit IN (0, 1)), 
	CONSTRAINT ck_transactions_amount CHECK (amount BETWEEN 1 AND 1000000000000000), 
	CONSTRAINT ck_transactions_credit_total CHECK (credit_total BETWEEN 0 AND 9000000000000000000), 
	CONSTRAINT ck_transactions_debit_total CHECK (debit_total BETWEEN 0 AND 9000000000000000000), 
	CONSTRAINT ck_transactions_credit_count CHECK (credit_count BETWEEN 0 AND seq), 
	CONSTRAINT ck_transactions_key CHECK (length(key) BETWEEN 1 AND 255), 
	CONSTRAINT ck_transactions_hash CHECK (length(hash) = 32), 
	CONSTRAINT fk_transactions_wallet_id FOREIGN KEY(wallet_id) REFERENCES wallets (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO transactions VALUES (1, 1, 1, 50000, 50000, 0, 1, 1795801502214699, NULL, NULL, X'8D2194C2FEF92B590CC4192EAE07E86125CA515F5833D675537A62C000F5EF41', NULL, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO transactions VALUES (1, 2, 0, 2000, 50000, 2000, 1, 1795801502608768, 'tea', NULL, X'7AD494F1F9C06FBD95275969F48311902E3CFBEE602DFFFEB8B4AC3D27B16DEB', NULL, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO transactions VALUES (1, 3, 0, 3000, 50000, 5000, 1, 1795801502943514, NULL, 'k', X'73D89C48E1A8C1090043AD704CC8180EA29F6799EF973DF7CDB2EDE7FB5FA96F', NULL, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO transactions VALUES (1, 4, 1, 2000, 52000, 5000, 2, 1795801504075327, NULL, NULL, X'BDE4E7E382E20563583A84B30135553BA25B1FC18834244CE067193D931175AB', NULL, NULL, NULL, 2, NULL, 0, 0);
INSERT INTO transactions VALUES (2, 1, 1, 5, 5, 0, 1, 1795801503207313, NULL, NULL, X'246E5818A6894B44B424A7D4B50D38BC1F6BB34AEC39842EDFA4793CD36E6D10', NULL, NULL, NULL, NULL, NULL, 0, 0);
CREATE TABLE operators (
	name TEXT NOT NULL, 
	key_hash BLOB NOT NULL, 
	read_only INTEGER NOT NULL, 
	created_at_us INTEGER NOT NULL, 
	revoked_at_us INTEGER, 
	last_used_at_us INTEGER, 
	CONSTRAINT pk_operators PRIMARY KEY (name), 
	CONSTRAINT uq_operators_key_hash UNIQUE (key_hash), 
	CONSTRAINT ck_operators_name CHECK (length(name) BETWEEN 1 AND 64), 
	CONSTRAINT ck_operators_key_hash CHECK (length(key_hash) = 32), 
	CONSTRAINT ck_operators_read_only CHECK (read_only IN (0, 1))
)
 STRICT

;
INSERT INTO operators VALUES ('till', X'4F91928B93923E43571DE79CD70A869617E8F613958444C2143917729F25229C', 0, 1795801500452732, NULL, NULL);
INSERT INTO operators VALUES ('gone', X'06891E5BE1597AAC0C80FEA2F5BF88BA32E9AA7E9EA0EA5413F521A0FDCCEE54', 0, 1795801501054378, 1795801501763828, NULL);
CREATE TABLE holds (
	wallet_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	amount INTEGER NOT NULL, 
	captured INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	created_at_us INTEGER NOT NULL, 
	expires_at_us INTEGER NOT NULL, 
	ended_at_us INTEGER, 
	note TEXT, 
	"key" TEXT, 
	CONSTRAINT pk_holds PRIMARY KEY (wallet_id, number), 
	CONSTRAINT ck_holds_number CHECK (number >= 1), 
	CONSTRAINT ck_holds_amount CHECK (amount BETWEEN 1 AND 1000000000000000), 
	CONSTRAINT ck_holds_captured CHECK (captured BETWEEN 0 AND amount), 
	CONSTRAINT ck_holds_status CHECK (status IN ('open', 'captured', 'voided', 'expired')), 
	CONSTRAINT ck_holds_ended_at_us CHECK ((status = 'open') = (ended_at_us IS NULL)), 
	CONSTRAINT ck_holds_key CHECK (length(key) BETWEEN 1 AND 255), 
	CONSTRAINT fk_holds_wallet_id FOREIGN KEY(wallet_id) REFERENCES wallets (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO holds VALUES (1, 1, 500, 0, 'open', 1795801504451941, 1796406304451941, NULL, 'room', NULL);
INSERT INTO holds VALUES (1, 2, 600, 0, 'voided', 1795801504874740, 1796406304874740, 1795801505220818, NULL, NULL);
CREATE TABLE ledger (
	id INTEGER NOT NULL, 
	state TEXT, 
	other TEXT, 
	move TEXT, 
	since_us INTEGER, 
	origin TEXT, uuid TEXT CONSTRAINT ck_ledger_uuid CHECK (length(uuid) = 36), currency TEXT CONSTRAINT ck_ledger_currency CHECK (length(currency) BETWEEN 1 AND 255), phone_region TEXT CONSTRAINT ck_ledger_phone_region CHECK (length(phone_region) BETWEEN 1 AND 255), minimum_balance TEXT CONSTRAINT ck_ledger_minimum_balance CHECK (length(minimum_balance) BETWEEN 1 AND 255), timezone TEXT CONSTRAINT ck_ledger_timezone CHECK (length(timezone) BETWEEN 1 AND 255), restoring INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_ledger_restoring CHECK (restoring IN (0, 1)), changes INTEGER DEFAULT 0 NOT NULL CONSTRAINT ck_ledger_changes CHECK (changes >= 0), damaged TEXT CONSTRAINT ck_ledger_damaged CHECK (length(damaged) >= 1), 
	CONSTRAINT pk_ledger PRIMARY KEY (id), 
	CONSTRAINT ck_ledger_id CHECK (id = 1), 
	CONSTRAINT ck_ledger_state CHECK (state IN ('moving', 'moved', 'arriving')), 
	CONSTRAINT ck_ledger_other CHECK ((state IS NULL) = (other IS NULL)), 
	CONSTRAINT ck_ledger_move CHECK ((state IS NULL) = (move IS NULL)), 
	CONSTRAINT ck_ledger_since_us CHECK ((state IS NULL) = (since_us IS NULL))
)
 STRICT

;
INSERT INTO ledger VALUES (1, NULL, NULL, NULL, NULL, NULL, 'c234ccc5-164f-41c4-bcfb-dc424165a559', 'INR', 'IN', '0', 'UTC', 0, 10, NULL);
CREATE TABLE witnesses (
	wallet_id INTEGER NOT NULL, 
	seq INTEGER DEFAULT 0 NOT NULL, 
	hash BLOB, 
	status TEXT, 
	own_minimum INTEGER, 
	maximum INTEGER, 
	daily_debit INTEGER, 
	held INTEGER, 
	holds INTEGER, 
	CONSTRAINT pk_witnesses PRIMARY KEY (wallet_id), 
	CONSTRAINT ck_witnesses_seq CHECK (seq >= 0), 
	CONSTRAINT ck_witnesses_hash CHECK (length(hash) = 32), 
	CONSTRAINT ck_witnesses_first CHECK ((seq = 0) = (hash IS NULL)), 
	CONSTRAINT fk_witnesses_wallet_id FOREIGN KEY(wallet_id) REFERENCES wallets (id)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO witnesses VALUES (1, 4, X'BDE4E7E382E20563583A84B30135553BA25B1FC18834244CE067193D931175AB', 'active', 2000, NULL, NULL, 500, 2);
INSERT INTO witnesses VALUES (2, 1, X'246E5818A6894B44B424A7D4B50D38BC1F6BB34AEC39842EDFA4793CD36E6D10', 'active', NULL, NULL, NULL, 0, 0);
CREATE INDEX ix_transactions_wallet_id_reverses ON transactions (wallet_id, reverses) WHERE reverses IS NOT NULL;
CREATE UNIQUE INDEX uq_holds_wallet_id_key ON holds (wallet_id, "key") WHERE key IS NOT NULL;
CREATE INDEX ix_holds_open ON holds (wallet_id, expires_at_us) WHERE status = 'open';
CREATE UNIQUE INDEX uq_users_key ON users ("key") WHERE key IS NOT NULL;
CREATE UNIQUE INDEX uq_wallets_user_id_key ON wallets (user_id, "key") WHERE key IS NOT NULL;
CREATE UNIQUE INDEX uq_transactions_wallet_id_key_user_key ON transactions (wallet_id, "key", user_key) WHERE key IS NOT NULL;
CREATE INDEX ix_ledger_again ON ledger (state, move, origin, uuid, currency, phone_region, minimum_balance, timezone, restoring, damaged, changes);
CREATE INDEX ix_operators_again ON operators (name, read_only, revoked_at_us);
CREATE INDEX ix_transactions_at_us ON transactions (at_us, wallet_id, seq);
COMMIT;
