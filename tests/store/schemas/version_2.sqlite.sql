BEGIN TRANSACTION;
CREATE TABLE accounts (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	role VARCHAR NOT NULL, 
	password_hash VARCHAR NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_accounts PRIMARY KEY (id), 
	CONSTRAINT uq_accounts_project_id UNIQUE (project_id, name), 
	CONSTRAINT fk_accounts_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "accounts" VALUES(1,1,'ann','admin','h',0,0.0);
CREATE TABLE annotation_keys (
	project_id INTEGER NOT NULL, 
	"key" VARCHAR(36) NOT NULL, 
	annotation_id INTEGER NOT NULL, 
	CONSTRAINT pk_annotation_keys PRIMARY KEY (project_id, "key"), 
	CONSTRAINT fk_annotation_keys_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT uq_annotation_keys_annotation_id UNIQUE (annotation_id), 
	CONSTRAINT fk_annotation_keys_annotation_id_annotations FOREIGN KEY(annotation_id) REFERENCES annotations (id)
);
INSERT INTO "annotation_keys" VALUES(1,'k',1);
CREATE TABLE annotation_versions (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	category_id INTEGER, 
	is_crowd BOOLEAN NOT NULL, 
	made_by VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	model_id INTEGER, 
	round_id INTEGER, 
	stage VARCHAR NOT NULL, 
	review VARCHAR, 
	changed_by VARCHAR NOT NULL, 
	seconds FLOAT, 
	clicks INTEGER, 
	edits INTEGER, 
	predicted_iou FLOAT, 
	stability_score FLOAT, 
	area INTEGER NOT NULL, 
	x0 INTEGER NOT NULL, 
	y0 INTEGER NOT NULL, 
	x1 INTEGER NOT NULL, 
	y1 INTEGER NOT NULL, 
	relative_size FLOAT NOT NULL, 
	centre_x FLOAT NOT NULL, 
	centre_y FLOAT NOT NULL, 
	prompts JSON, 
	candidates JSON, 
	attributes JSON, 
	operation_id VARCHAR NOT NULL, 
	sequence INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	counts BLOB NOT NULL, 
	CONSTRAINT pk_annotation_versions PRIMARY KEY (id, version), 
	CONSTRAINT fk_annotation_versions_id_annotations FOREIGN KEY(id) REFERENCES annotations (id), 
	CONSTRAINT fk_annotation_versions_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_annotation_versions_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_annotation_versions_category_id_categories FOREIGN KEY(category_id) REFERENCES categories (id), 
	CONSTRAINT fk_annotation_versions_model_id_models FOREIGN KEY(model_id) REFERENCES models (id), 
	CONSTRAINT fk_annotation_versions_round_id_rounds FOREIGN KEY(round_id) REFERENCES rounds (id)
);
INSERT INTO "annotation_versions" VALUES(1,1,1,1,0,NULL,0,'person','ann',NULL,NULL,'assisted',NULL,'ann',NULL,NULL,NULL,NULL,NULL,9,1,1,4,4,4.33012701892219298294e-01,0.3125,4.1666666666666668517e-01,NULL,NULL,NULL,'one',3,1.79532073062915205957e+09,X'3733333030306730');
CREATE TABLE annotations (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	category_id INTEGER, 
	is_crowd BOOLEAN NOT NULL, 
	made_by VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	model_id INTEGER, 
	round_id INTEGER, 
	stage VARCHAR NOT NULL, 
	review VARCHAR, 
	changed_by VARCHAR NOT NULL, 
	seconds FLOAT, 
	clicks INTEGER, 
	edits INTEGER, 
	predicted_iou FLOAT, 
	stability_score FLOAT, 
	area INTEGER NOT NULL, 
	x0 INTEGER NOT NULL, 
	y0 INTEGER NOT NULL, 
	x1 INTEGER NOT NULL, 
	y1 INTEGER NOT NULL, 
	relative_size FLOAT NOT NULL, 
	centre_x FLOAT NOT NULL, 
	centre_y FLOAT NOT NULL, 
	prompts JSON, 
	candidates JSON, 
	attributes JSON, 
	operation_id VARCHAR NOT NULL, 
	sequence INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	counts BLOB NOT NULL, 
	CONSTRAINT pk_annotations PRIMARY KEY (id), 
	CONSTRAINT fk_annotations_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_annotations_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_annotations_category_id_categories FOREIGN KEY(category_id) REFERENCES categories (id), 
	CONSTRAINT fk_annotations_model_id_models FOREIGN KEY(model_id) REFERENCES models (id), 
	CONSTRAINT fk_annotations_round_id_rounds FOREIGN KEY(round_id) REFERENCES rounds (id)
);
INSERT INTO "annotations" VALUES(1,1,1,2,0,NULL,0,'person','ann',NULL,NULL,'assisted',NULL,'ann',NULL,NULL,NULL,NULL,NULL,8,0,5,8,6,0.408248290463863,0.5,9.16666666666666629659e-01,NULL,NULL,NULL,'two',4,1.79532073063983035085e+09,X'35313530303030303030303030303030');
CREATE TABLE assignments (
	image_id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	CONSTRAINT pk_assignments PRIMARY KEY (image_id), 
	CONSTRAINT fk_assignments_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_assignments_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "assignments" VALUES(1,1,'ann');
CREATE TABLE audit_log (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	subject VARCHAR, 
	detail JSON, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_audit_log PRIMARY KEY (id), 
	CONSTRAINT fk_audit_log_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "audit_log" VALUES(1,1,'ann','signed in',NULL,NULL,0.0);
CREATE TABLE categories (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	colour VARCHAR(7), 
	digit INTEGER, 
	supercategory VARCHAR, 
	deleted BOOLEAN NOT NULL, 
	CONSTRAINT pk_categories PRIMARY KEY (id), 
	CONSTRAINT uq_categories_project_id UNIQUE (project_id, name), 
	CONSTRAINT fk_categories_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "categories" VALUES(1,1,'cat','#e6194b',NULL,NULL,0);
CREATE TABLE image_states (
	image_id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	note VARCHAR, 
	name VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_image_states PRIMARY KEY (image_id), 
	CONSTRAINT fk_image_states_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_image_states_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "image_states" VALUES(1,1,'complete',NULL,'ann',0.0);
CREATE TABLE images (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	path VARCHAR NOT NULL, 
	content_hash VARCHAR(64) NOT NULL, 
	perceptual_hash BIGINT, 
	height INTEGER NOT NULL, 
	width INTEGER NOT NULL, 
	source VARCHAR NOT NULL, 
	external_id VARCHAR, 
	split VARCHAR, 
	group_name VARCHAR, 
	licence VARCHAR, 
	metadata JSON, 
	mask_count INTEGER NOT NULL, 
	sequence INTEGER NOT NULL, 
	added_at FLOAT NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	CONSTRAINT pk_images PRIMARY KEY (id), 
	CONSTRAINT uq_images_project_id UNIQUE (project_id, path), 
	CONSTRAINT fk_images_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "images" VALUES(1,1,'one.jpg','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL,6,8,'album',NULL,NULL,NULL,NULL,NULL,1,1,1.79532073062192511561e+09,0);
CREATE TABLE jobs (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	settings JSON, 
	done INTEGER NOT NULL, 
	total INTEGER, 
	message VARCHAR, 
	owner VARCHAR, 
	token INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	ended_at FLOAT, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT fk_jobs_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "jobs" VALUES(1,1,'train','queued',NULL,0,NULL,NULL,NULL,0,0.0,NULL);
CREATE TABLE leases (
	image_id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	expires_at FLOAT NOT NULL, 
	CONSTRAINT pk_leases PRIMARY KEY (image_id), 
	CONSTRAINT fk_leases_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_leases_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "leases" VALUES(1,1,'ann',0.0);
CREATE TABLE mask_bins (
	project_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	bin INTEGER NOT NULL, 
	masks INTEGER NOT NULL, 
	CONSTRAINT pk_mask_bins PRIMARY KEY (project_id, kind, bin), 
	CONSTRAINT fk_mask_bins_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "mask_bins" VALUES(1,'centre',426,0);
INSERT INTO "mask_bins" VALUES(1,'centre',944,1);
INSERT INTO "mask_bins" VALUES(1,'size',20,1);
INSERT INTO "mask_bins" VALUES(1,'size',21,0);
CREATE TABLE mask_groups (
	project_id INTEGER NOT NULL, 
	category_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	stage VARCHAR NOT NULL, 
	review VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	masks INTEGER NOT NULL, 
	lowest_iou FLOAT, 
	CONSTRAINT pk_mask_groups PRIMARY KEY (project_id, category_id, image_id, stage, review, author), 
	CONSTRAINT fk_mask_groups_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "mask_groups" VALUES(1,-1,1,'assisted','unreviewed','ann',1,NULL);
INSERT INTO "mask_groups" VALUES(1,0,1,'assisted','unreviewed','ann',1,NULL);
CREATE TABLE metrics (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	round_id INTEGER, 
	model_id INTEGER, 
	name VARCHAR NOT NULL, 
	value FLOAT, 
	detail JSON, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_metrics PRIMARY KEY (id), 
	CONSTRAINT fk_metrics_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_metrics_round_id_rounds FOREIGN KEY(round_id) REFERENCES rounds (id), 
	CONSTRAINT fk_metrics_model_id_models FOREIGN KEY(model_id) REFERENCES models (id)
);
INSERT INTO "metrics" VALUES(1,1,1,1,'iou',0.5,NULL,0.0);
CREATE TABLE models (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	model_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	card JSON, 
	blob VARCHAR(64), 
	added_at FLOAT NOT NULL, 
	CONSTRAINT pk_models PRIMARY KEY (id), 
	CONSTRAINT uq_models_project_id UNIQUE (project_id, model_id), 
	CONSTRAINT fk_models_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "models" VALUES(1,1,'m','m',NULL,NULL,0.0);
CREATE TABLE operations (
	project_id INTEGER NOT NULL, 
	operation_id VARCHAR NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	answer JSON NOT NULL, 
	sequence INTEGER NOT NULL, 
	CONSTRAINT pk_operations PRIMARY KEY (project_id, operation_id), 
	CONSTRAINT fk_operations_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "operations" VALUES(1,'one','3287732f81b2b88ebc3c068f69c4307d82fa96c6b88b8d591cb222b723f4601f','[[1, 1]]',3);
INSERT INTO "operations" VALUES(1,'two','e9f39e55e9bf77d9dfc495e1753b0a8763ec27cb653afd9a8741776805fbd861','[[1, 2]]',4);
CREATE TABLE projects (
	id INTEGER NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	sequence INTEGER NOT NULL, 
	CONSTRAINT pk_projects PRIMARY KEY (id), 
	CONSTRAINT uq_projects_uid UNIQUE (uid)
);
INSERT INTO "projects" VALUES(1,'1b0ded23c8422b54bddbe6cf619b003c','dumped',1.795320730490537405e+09,4);
CREATE TABLE reviews (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	annotation_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	verdict VARCHAR NOT NULL, 
	note VARCHAR, 
	name VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_reviews PRIMARY KEY (id), 
	CONSTRAINT fk_reviews_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_reviews_annotation_id_annotations FOREIGN KEY(annotation_id) REFERENCES annotations (id)
);
INSERT INTO "reviews" VALUES(1,1,1,1,'accepted',NULL,'ann',0.0);
CREATE TABLE rounds (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	stage VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	incumbent_id INTEGER, 
	candidate_id INTEGER, 
	snapshot_id INTEGER, 
	settings JSON, 
	reason VARCHAR, 
	started_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	CONSTRAINT pk_rounds PRIMARY KEY (id), 
	CONSTRAINT uq_rounds_project_id UNIQUE (project_id, number), 
	CONSTRAINT fk_rounds_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT fk_rounds_incumbent_id_models FOREIGN KEY(incumbent_id) REFERENCES models (id), 
	CONSTRAINT fk_rounds_candidate_id_models FOREIGN KEY(candidate_id) REFERENCES models (id), 
	CONSTRAINT fk_rounds_snapshot_id_snapshots FOREIGN KEY(snapshot_id) REFERENCES snapshots (id)
);
INSERT INTO "rounds" VALUES(1,1,1,'assisted','open',NULL,1,1,NULL,NULL,0.0,NULL);
CREATE TABLE rule_sets (
	project_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	rules JSON NOT NULL, 
	changed_by VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_rule_sets PRIMARY KEY (project_id), 
	CONSTRAINT fk_rule_sets_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "rule_sets" VALUES(1,1,'{}','ann',0.0);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	CONSTRAINT pk_schema_version PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(2);
CREATE TABLE sessions (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	account_id INTEGER, 
	name VARCHAR(64) NOT NULL, 
	expires_at FLOAT NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (id), 
	CONSTRAINT fk_sessions_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE, 
	CONSTRAINT uq_sessions_digest UNIQUE (digest), 
	CONSTRAINT fk_sessions_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "sessions" VALUES(1,1,'of 1b0ded23c8422b54bddbe6cf619b003c',NULL,'ann',0.0,0.0);
CREATE TABLE snapshot_annotations (
	snapshot_id INTEGER NOT NULL, 
	annotation_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_snapshot_annotations PRIMARY KEY (snapshot_id, annotation_id), 
	CONSTRAINT fk_snapshot_annotations_snapshot_id_snapshots FOREIGN KEY(snapshot_id) REFERENCES snapshots (id) ON DELETE CASCADE, 
	CONSTRAINT fk_snapshot_annotations_annotation_id_annotations FOREIGN KEY(annotation_id) REFERENCES annotations (id)
);
INSERT INTO "snapshot_annotations" VALUES(1,1,1);
CREATE TABLE snapshot_images (
	snapshot_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	split VARCHAR NOT NULL, 
	CONSTRAINT pk_snapshot_images PRIMARY KEY (snapshot_id, image_id), 
	CONSTRAINT fk_snapshot_images_snapshot_id_snapshots FOREIGN KEY(snapshot_id) REFERENCES snapshots (id) ON DELETE CASCADE, 
	CONSTRAINT fk_snapshot_images_image_id_images FOREIGN KEY(image_id) REFERENCES images (id)
);
INSERT INTO "snapshot_images" VALUES(1,1,'val');
CREATE TABLE snapshots (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	statistics JSON NOT NULL, 
	settings JSON NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_snapshots PRIMARY KEY (id), 
	CONSTRAINT uq_snapshots_project_id UNIQUE (project_id, name), 
	CONSTRAINT fk_snapshots_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "snapshots" VALUES(1,1,'s','d','{}','{}',0.0);
CREATE TABLE strokes (
	image_id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	drawn JSON NOT NULL, 
	changed_by VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	CONSTRAINT pk_strokes PRIMARY KEY (image_id), 
	CONSTRAINT fk_strokes_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), 
	CONSTRAINT fk_strokes_project_id_projects FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE
);
INSERT INTO "strokes" VALUES(1,1,1,'[]','ann',0.0);
CREATE INDEX ix_images_group ON images (project_id, group_name);
CREATE INDEX ix_images_page ON images (project_id, deleted, id, mask_count, split, source);
CREATE INDEX ix_images_source ON images (project_id, deleted, source, id);
CREATE INDEX ix_images_hash ON images (project_id, content_hash);
CREATE INDEX ix_images_split ON images (project_id, deleted, split, id);
CREATE INDEX ix_jobs_status ON jobs (project_id, status);
CREATE INDEX ix_audit_log_order ON audit_log (project_id, id);
CREATE INDEX ix_snapshot_images_image ON snapshot_images (image_id);
CREATE INDEX ix_sessions_account ON sessions (account_id);
CREATE INDEX ix_image_states_state ON image_states (project_id, state, image_id);
CREATE INDEX ix_assignments_name ON assignments (project_id, name, image_id);
CREATE INDEX ix_strokes_project ON strokes (project_id, image_id);
CREATE INDEX ix_metrics_name ON metrics (project_id, name);
CREATE INDEX ix_annotations_sequence ON annotations (project_id, sequence);
CREATE INDEX ix_annotations_image ON annotations (image_id);
CREATE INDEX ix_annotation_versions_image ON annotation_versions (image_id);
CREATE INDEX ix_snapshot_annotations_annotation ON snapshot_annotations (annotation_id);
CREATE INDEX ix_reviews_annotation ON reviews (annotation_id, id);
COMMIT;
