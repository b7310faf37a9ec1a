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
INSERT INTO "commits" VALUES('events',1,'276982dd36e2593c','52e2c14891e88f74b5c18827fb70c176','2026-11-30T15:44:27.802Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=a","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":\"2024-01-01T00:00:00Z\",\"at\":{\"offset\":3},\"pages\":1,\"fresh\":true,\"unmarked\":true,\"drifted\":false,\"passed\":false},\"mark\":1704067201000000,\"snapshot_mark\":1704067201000000,\"received\":3,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'7837d312cb208edba8d98484eb8e17181733a7c274069248c1d1251c1f30eac5');
INSERT INTO "commits" VALUES('events',2,'276982dd36e2593c','7d0fd31b603fcb03f57c1b2885f03e5b','2026-11-30T15:44:27.812Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=b","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":\"2024-01-01T00:00:00Z\",\"at\":{\"offset\":3},\"pages\":1,\"fresh\":true,\"unmarked\":true,\"drifted\":false,\"passed\":false},\"mark\":1704067201000000,\"snapshot_mark\":1704067201000000,\"received\":3,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'93c1ec573a94f1d13b7e374d5ff4634b90ab53436d720576e55106025698c134');
INSERT INTO "commits" VALUES('events',3,'276982dd36e2593c','0beab82f279bd1886e830545f859ebcd','2026-11-30T15:44:27.815Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=a","epoch":1,"expected_seq":1,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":\"2024-01-01T00:00:00Z\",\"at\":{\"offset\":6},\"pages\":2,\"fresh\":true,\"unmarked\":true,\"drifted\":false,\"passed\":false},\"mark\":1704067202000000,\"snapshot_mark\":1704067202000000,\"received\":6,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'d10e4ebf344b2090f977abd03b0efc054eb3ae5594407468ef760b060716150c');
INSERT INTO "commits" VALUES('events',4,'276982dd36e2593c','b7708946f623d1b4bb83c0eee8e34699','2026-11-30T15:44:27.823Z','{"received":1,"expanded":0,"sent":1,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"tenant=b","epoch":1,"expected_seq":2,"cursor":"{\"v\":1,\"pass\":2,\"position\":null,\"mark\":1704067201000000,\"snapshot_mark\":null,\"received\":0,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'b8989652fc2e491f61a4651e68449df2a5402b3e51a5e8b0c66fe5deede400f7');
INSERT INTO "commits" VALUES('once',1,'2de0ef7094c83444','b885a1dc36e9751058826f5c7a4c2d18','2026-11-30T15:44:27.810Z','{"received":2,"expanded":0,"sent":2,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"default","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":null,\"mark\":null,\"snapshot_mark\":null,\"received\":2,\"total\":null,\"validators\":null,\"complete\":true}"}]',1,'7f8b3c7ef9e48ef518614b4a893ed22a69dda20914312fa7c313f778e98bf667');
INSERT INTO "commits" VALUES('tokens',1,'a7173eea2e0d2e30','89037259138bc20640958bea4608e368','2026-11-30T15:44:27.811Z','{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}','[{"partition":"default","epoch":1,"expected_seq":0,"cursor":"{\"v\":1,\"pass\":1,\"position\":{\"since\":null,\"at\":{\"token\":3},\"pages\":3,\"fresh\":true,\"unmarked\":true,\"drifted\":false,\"passed\":false},\"mark\":null,\"snapshot_mark\":null,\"received\":3,\"total\":null,\"validators\":null,\"complete\":false}"}]',1,'7aa4e1d1008631e8b3b5e5326e4c759d39f290d1a9427d0099b894b9e1708360');
CREATE TABLE files (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, root TEXT NOT NULL, staging TEXT NOT NULL,
    final TEXT NOT NULL, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq, number)) STRICT, WITHOUT ROWID;
INSERT INTO "files" VALUES('events',1,1,'records','/lake-fixture/events','.worker/276982dd36e2593c/events/staging/events-276982dd36e2593c-000000000001-0001.avro','events-276982dd36e2593c-000000000001-0001.avro',345,'3e3c4b70238a8812bf432546fbbd55faf7ced00232ef3dbc5d8467150fcf00d0',3,'527c2471708fa92d');
INSERT INTO "files" VALUES('events',2,1,'records','/lake-fixture/events','.worker/276982dd36e2593c/events/staging/events-276982dd36e2593c-000000000002-0001.avro','events-276982dd36e2593c-000000000002-0001.avro',345,'237b8511b8c2d81a0e70f3a3dbd85eff734f72c440ed7a3365f9c52df5da5469',3,'527c2471708fa92d');
INSERT INTO "files" VALUES('events',3,1,'records','/lake-fixture/events','.worker/276982dd36e2593c/events/staging/events-276982dd36e2593c-000000000003-0001.avro','events-276982dd36e2593c-000000000003-0001.avro',346,'48dd54044187705b1f42d32f89d70d0284d238e1a50679c39bb01eb3777bc42f',3,'527c2471708fa92d');
INSERT INTO "files" VALUES('events',4,1,'records','/lake-fixture/events','.worker/276982dd36e2593c/events/staging/events-276982dd36e2593c-000000000004-0001.avro','events-276982dd36e2593c-000000000004-0001.avro',336,'127f8c885deebd15a933aefcf91e2cfe687056344d736e9d669fa8c82f4cffd1',1,'527c2471708fa92d');
INSERT INTO "files" VALUES('once',1,1,'records','/lake-fixture/once','.worker/2de0ef7094c83444/once/staging/once-2de0ef7094c83444-000000000001-0001.avro','once-2de0ef7094c83444-000000000001-0001.avro',315,'4fc01e197b06407ccfda92ca2882855e1f23397803f2a5dddeeafdc75c4c865b',2,'527c2471708fa92d');
INSERT INTO "files" VALUES('tokens',1,1,'records','/lake-fixture/tokens','.worker/a7173eea2e0d2e30/tokens/staging/tokens-a7173eea2e0d2e30-000000000001-0001.avro','tokens-a7173eea2e0d2e30-000000000001-0001.avro',319,'557446e352e67a68786bec4085afb13766662847663d5b191e6a05c25d3ab036',3,'527c2471708fa92d');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE partitions (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, cursor TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
INSERT INTO "partitions" VALUES('events','tenant=a',1,3,'{"v":1,"pass":1,"position":{"since":"2024-01-01T00:00:00Z","at":{"offset":6},"pages":2,"fresh":true,"unmarked":true,"drifted":false,"passed":false},"mark":1704067202000000,"snapshot_mark":1704067202000000,"received":6,"total":null,"validators":null,"complete":false}');
INSERT INTO "partitions" VALUES('events','tenant=b',1,4,'{"v":1,"pass":2,"position":null,"mark":1704067201000000,"snapshot_mark":null,"received":0,"total":null,"validators":null,"complete":false}');
INSERT INTO "partitions" VALUES('once','default',1,1,'{"v":1,"pass":1,"position":null,"mark":null,"snapshot_mark":null,"received":2,"total":null,"validators":null,"complete":true}');
INSERT INTO "partitions" VALUES('tokens','default',1,1,'{"v":1,"pass":1,"position":{"since":null,"at":{"token":3},"pages":3,"fresh":true,"unmarked":true,"drifted":false,"passed":false},"mark":null,"snapshot_mark":null,"received":3,"total":null,"validators":null,"complete":false}');
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY, lineage TEXT NOT NULL, seq INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL, accepted TEXT NOT NULL) STRICT;
INSERT INTO "pipelines" VALUES('tokens','a7173eea2e0d2e30',1,'{"url":"84332830a170a2a2","params":"44136fa355b3678a","pagination":"d64713281c0319d0","incremental":"74234e98afe7498f","partitions":"4f53cda18c2baa0c","records":"3c22349f8d0b6077","key":"4f53cda18c2baa0c","method":"04f32a7e5ddf67e8","headers":"44136fa355b3678a"}','7aa4e1d1008631e8b3b5e5326e4c759d39f290d1a9427d0099b894b9e1708360','[]');
INSERT INTO "pipelines" VALUES('once','2de0ef7094c83444',1,'{"url":"c1682eff83927854","params":"44136fa355b3678a","pagination":"ff0f08b1aa619402","incremental":"74234e98afe7498f","partitions":"4f53cda18c2baa0c","records":"74234e98afe7498f","key":"4f53cda18c2baa0c","method":"04f32a7e5ddf67e8","headers":"44136fa355b3678a"}','7f8b3c7ef9e48ef518614b4a893ed22a69dda20914312fa7c313f778e98bf667','[]');
INSERT INTO "pipelines" VALUES('events','276982dd36e2593c',4,'{"url":"9247b929b08610b9","params":"adf34bcc18639828","pagination":"5cff862e3d933269","incremental":"4764b0f227abd566","partitions":"c4698a2df381264f","records":"74234e98afe7498f","key":"fc949a4dac6b077d","method":"04f32a7e5ddf67e8","headers":"44136fa355b3678a"}','b8989652fc2e491f61a4651e68449df2a5402b3e51a5e8b0c66fe5deede400f7','[]');
CREATE TABLE schemas (
    pipeline TEXT NOT NULL, fingerprint TEXT NOT NULL, last_seq INTEGER NOT NULL, schema TEXT NOT NULL,
    PRIMARY KEY (pipeline, fingerprint)) STRICT, WITHOUT ROWID;
INSERT INTO "schemas" VALUES('events','527c2471708fa92d',4,'{"type":"record","name":"event","fields":[{"name":"id","type":"long"},{"name":"at","type":["null","string"],"default":null}]}');
INSERT INTO "schemas" VALUES('once','527c2471708fa92d',1,'{"type":"record","name":"event","fields":[{"name":"id","type":"long"},{"name":"at","type":["null","string"],"default":null}]}');
INSERT INTO "schemas" VALUES('tokens','527c2471708fa92d',1,'{"type":"record","name":"event","fields":[{"name":"id","type":"long"},{"name":"at","type":["null","string"],"default":null}]}');
CREATE TABLE tokens (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, token BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, token)) STRICT, WITHOUT ROWID;
INSERT INTO "tokens" VALUES('events','tenant=a',X'188F0E07AA770D8B9F4BB2FFC4F82F4C');
INSERT INTO "tokens" VALUES('events','tenant=a',X'CBC43E5C1984CE189A4823498B74E7C9');
INSERT INTO "tokens" VALUES('tokens','default',X'4129E2A8044A57CE7635FD6023661CD6');
INSERT INTO "tokens" VALUES('tokens','default',X'C3585B60B755FB13E6E65A16D20F1230');
INSERT INTO "tokens" VALUES('tokens','default',X'CEA3878A334B240469D159FF840B6434');
COMMIT;
PRAGMA user_version = 2;
