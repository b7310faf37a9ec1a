BEGIN TRANSACTION;
CREATE TABLE boundary (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, value ANY NOT NULL, key BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, value, key)) STRICT, WITHOUT ROWID;
INSERT INTO "boundary" VALUES('events','tenant=a',1704067202000000,X'0D2C8AC27D6831B70FBEA366B76AA044');
INSERT INTO "boundary" VALUES('events','tenant=a',1704067202000000,X'F052DE3451F2022E0F871E6BC6CC9894');
INSERT INTO "boundary" VALUES('events','tenant=b',1704067201000000,X'18B0B6BC0E447E78253E2814C47E99A2');
INSERT INTO "boundary" VALUES('events','tenant=b',1704067201000000,X'33E1D4EA19C19CC8A6BB8926D887CA60');
CREATE TABLE commits (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, lineage TEXT NOT NULL, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, ledger TEXT NOT NULL,
    ends TEXT NOT NULL, published INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq)) STRICT, WITHOUT ROWID;
INSERT INTO "commits" VALUES('events',1,'a88e6a6047985ea7','1149558479db5d9e142cb73e36cddfd7','2026-11-30T15:44:24.009Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=a","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":\"2024-01-01T00:00:00Z\",\"at\":{\"offset\":3},\"pages\":1,\"fresh\":true,\"unmarked\":true},\"mark\":1704067201000000,\"snapshot_mark\":1704067201000000,\"received\":3,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'565ae720d5a4096bf651e94f34896836f14c87691cceda6053950c251d44fd6c');
INSERT INTO "commits" VALUES('events',2,'a88e6a6047985ea7','60597fe6c482db2689ff0bf3ee0202f8','2026-11-30T15:44:24.014Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=b","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":\"2024-01-01T00:00:00Z\",\"at\":{\"offset\":3},\"pages\":1,\"fresh\":true,\"unmarked\":true},\"mark\":1704067201000000,\"snapshot_mark\":1704067201000000,\"received\":3,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'68539486b00dfbd3c16d2be78fa5c7513c97abcd59155be5fcb45f5fc74d826d');
INSERT INTO "commits" VALUES('events',3,'a88e6a6047985ea7','2f606e9d76718bfe69f227f9e55e4ffe','2026-11-30T15:44:24.020Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=a","epoch":1,"expected_seq":1,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":\"2024-01-01T00:00:00Z\",\"at\":{\"offset\":6},\"pages\":2,\"fresh\":true,\"unmarked\":true},\"mark\":1704067202000000,\"snapshot_mark\":1704067202000000,\"received\":6,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'752ad6c2dbd8ba3fee7b927e0afb047d76a486eb527e22f17a59d7d773a509b9');
INSERT INTO "commits" VALUES('events',4,'a88e6a6047985ea7','030390d3609c2304269f9faef6de9b95','2026-11-30T15:44:24.021Z','{"received":1,"expanded":0,"sent":1,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=b","epoch":1,"expected_seq":2,"cursor":"{\"v\":1,\"pass\":2,\"position\":null,\"mark\":1704067201000000,\"snapshot_mark\":null,\"received\":0,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'4bc4c1d40cb18c70b3ae6852e11b6878a2bd8535a48b92e813fe730d4fba332c');
INSERT INTO "commits" VALUES('once',1,'064633f972fdaac6','b6cbb2921d060808eca5152c5c18de9d','2026-11-30T15:44:24.031Z','{"received":2,"expanded":0,"sent":2,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"default","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":null,\"mark\":null,\"snapshot_mark\":null,\"received\":2,\"total\":null,\"validators\":null,\"complete\":true}"}]',1,'89b00448b7be4ee39639fc2ae7eb6a191c085ae7a7e8ccd90567e5487ae2db06');
INSERT INTO "commits" VALUES('tokens',1,'b9fe7d193151fdcc','a4ff8491bb4fb8cab71e104e4d4cea4a','2026-11-30T15:44:24.031Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"default","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":null,\"at\":{\"token\":3},\"pages\":3,\"fresh\":true,\"unmarked\":true},\"mark\":null,\"snapshot_mark\":null,\"received\":3,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'e2e46104be121544ff8b44463d1bd1b5b8bf7a3d64e5e109059579180d2bc996');
CREATE TABLE files (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, root TEXT NOT NULL, staging TEXT NOT NULL,
    final TEXT NOT NULL, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq, number)) STRICT, WITHOUT ROWID;
INSERT INTO "files" VALUES('events',1,1,'records','/lake-fixture/events','.worker/a88e6a6047985ea7/events/staging/events-a88e6a6047985ea7-000000000001-0001.avro','events-a88e6a6047985ea7-000000000001-0001.avro',345,'30ba8a9d2fb40febe306b105f039558689bb2f8cb7f2090215bdd3ce0bcabf26',3,'527c2471708fa92d');
INSERT INTO "files" VALUES('events',2,1,'records','/lake-fixture/events','.worker/a88e6a6047985ea7/events/staging/events-a88e6a6047985ea7-000000000002-0001.avro','events-a88e6a6047985ea7-000000000002-0001.avro',345,'f96c1a7a7e0c1bb4822df98651c16a9a5b70d735ef80e1b450b66bd009784716',3,'527c2471708fa92d');
INSERT INTO "files" VALUES('events',3,1,'records','/lake-fixture/events','.worker/a88e6a6047985ea7/events/staging/events-a88e6a6047985ea7-000000000003-0001.avro','events-a88e6a6047985ea7-000000000003-0001.avro',346,'4039bfd497f29d7cb1122a80dcd26e9efa67d2b2be2c24cbf1c936a1d2ffd6e2',3,'527c2471708fa92d');
INSERT INTO "files" VALUES('events',4,1,'records','/lake-fixture/events','.worker/a88e6a6047985ea7/events/staging/events-a88e6a6047985ea7-000000000004-0001.avro','events-a88e6a6047985ea7-000000000004-0001.avro',336,'1bdea782f32acbc1818dc9a875ff9226063aca190081f615b7db64bea5d050e0',1,'527c2471708fa92d');
INSERT INTO "files" VALUES('once',1,1,'records','/lake-fixture/once','.worker/064633f972fdaac6/once/staging/once-064633f972fdaac6-000000000001-0001.avro','once-064633f972fdaac6-000000000001-0001.avro',315,'e9c71ea55333727fbc6857137a8d4d6a9b275d801ceccf222a71dd80cd8adbab',2,'527c2471708fa92d');
INSERT INTO "files" VALUES('tokens',1,1,'records','/lake-fixture/tokens','.worker/b9fe7d193151fdcc/tokens/staging/tokens-b9fe7d193151fdcc-000000000001-0001.avro','tokens-b9fe7d193151fdcc-000000000001-0001.avro',319,'46aa025cc891f185de4ed2c80e431d962a7c447af02a41dec4c7344756acc0b7',3,'527c2471708fa92d');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE partitions (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, cursor TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
INSERT INTO "partitions" VALUES('events','tenant=a',1,3,'{"v":1,"pass":1,"position":{"since":"2024-01-01T00:00:00Z","at":{"offset":6},"pages":2,"fresh":true,"unmarked":true},"mark":1704067202000000,"snapshot_mark":1704067202000000,"received":6,"total":null,"validators":null,"complete":false}');
INSERT INTO "partitions" VALUES('events','tenant=b',1,4,'{"v":1,"pass":2,"position":null,"mark":1704067201000000,"snapshot_mark":null,"received":0,"total":null,"validators":null,"complete":false}');
INSERT INTO "partitions" VALUES('once','default',1,1,'{"v":1,"pass":1,"position":null,"mark":null,"snapshot_mark":null,"received":2,"total":null,"validators":null,"complete":true}');
INSERT INTO "partitions" VALUES('tokens','default',1,1,'{"v":1,"pass":1,"position":{"since":null,"at":{"token":3},"pages":3,"fresh":true,"unmarked":true},"mark":null,"snapshot_mark":null,"received":3,"total":null,"validators":null,"complete":false}');
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY, lineage TEXT NOT NULL, seq INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL, accepted TEXT NOT NULL) STRICT;
INSERT INTO "pipelines" VALUES('events','a88e6a6047985ea7',4,'{"url":"9247b929b08610b9","params":"adf34bcc18639828","pagination":"5cff862e3d933269","incremental":"4764b0f227abd566","partitions":"c4698a2df381264f","records":"74234e98afe7498f"}','4bc4c1d40cb18c70b3ae6852e11b6878a2bd8535a48b92e813fe730d4fba332c','[]');
INSERT INTO "pipelines" VALUES('tokens','b9fe7d193151fdcc',1,'{"url":"84332830a170a2a2","params":"44136fa355b3678a","pagination":"d64713281c0319d0","incremental":"74234e98afe7498f","partitions":"4f53cda18c2baa0c","records":"3c22349f8d0b6077"}','e2e46104be121544ff8b44463d1bd1b5b8bf7a3d64e5e109059579180d2bc996','[]');
INSERT INTO "pipelines" VALUES('once','064633f972fdaac6',1,'{"url":"c1682eff83927854","params":"44136fa355b3678a","pagination":"ff0f08b1aa619402","incremental":"74234e98afe7498f","partitions":"4f53cda18c2baa0c","records":"74234e98afe7498f"}','89b00448b7be4ee39639fc2ae7eb6a191c085ae7a7e8ccd90567e5487ae2db06','[]');
CREATE TABLE tokens (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, token BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, token)) STRICT, WITHOUT ROWID;
INSERT INTO "tokens" VALUES('events','tenant=a',X'188F0E07AA770D8B9F4BB2FFC4F82F4C');
INSERT INTO "tokens" VALUES('events','tenant=a',X'CBC43E5C1984CE189A4823498B74E7C9');
INSERT INTO "tokens" VALUES('tokens','default',X'4129E2A8044A57CE7635FD6023661CD6');
INSERT INTO "tokens" VALUES('tokens','default',X'C3585B60B755FB13E6E65A16D20F1230');
INSERT INTO "tokens" VALUES('tokens','default',X'CEA3878A334B240469D159FF840B6434');
COMMIT;
PRAGMA user_version = 1;
