
CREATE TABLE public.accounts (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    name character varying(64) NOT NULL,
    role character varying NOT NULL,
    password_hash character varying NOT NULL,
    disabled boolean NOT NULL,
    created_at double precision NOT NULL
);
CREATE SEQUENCE public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.accounts_id_seq OWNED BY public.accounts.id;
CREATE TABLE public.annotation_keys (
    project_id bigint NOT NULL,
    key character varying(36) NOT NULL,
    annotation_id bigint NOT NULL
);
CREATE TABLE public.annotation_versions (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    image_id bigint NOT NULL,
    version integer NOT NULL,
    deleted boolean NOT NULL,
    category_id bigint,
    is_crowd boolean NOT NULL,
    made_by character varying NOT NULL,
    author character varying NOT NULL,
    model_id bigint,
    round_id bigint,
    stage character varying NOT NULL,
    review character varying,
    changed_by character varying NOT NULL,
    seconds double precision,
    clicks integer,
    edits integer,
    predicted_iou double precision,
    stability_score double precision,
    area integer NOT NULL,
    x0 integer NOT NULL,
    y0 integer NOT NULL,
    x1 integer NOT NULL,
    y1 integer NOT NULL,
    relative_size double precision NOT NULL,
    centre_x double precision NOT NULL,
    centre_y double precision NOT NULL,
    prompts jsonb,
    candidates jsonb,
    attributes jsonb,
    operation_id character varying NOT NULL,
    sequence bigint NOT NULL,
    at double precision NOT NULL,
    counts bytea NOT NULL
);
CREATE TABLE public.annotations (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    image_id bigint NOT NULL,
    version integer NOT NULL,
    deleted boolean NOT NULL,
    category_id bigint,
    is_crowd boolean NOT NULL,
    made_by character varying NOT NULL,
    author character varying NOT NULL,
    model_id bigint,
    round_id bigint,
    stage character varying NOT NULL,
    review character varying,
    changed_by character varying NOT NULL,
    seconds double precision,
    clicks integer,
    edits integer,
    predicted_iou double precision,
    stability_score double precision,
    area integer NOT NULL,
    x0 integer NOT NULL,
    y0 integer NOT NULL,
    x1 integer NOT NULL,
    y1 integer NOT NULL,
    relative_size double precision NOT NULL,
    centre_x double precision NOT NULL,
    centre_y double precision NOT NULL,
    prompts jsonb,
    candidates jsonb,
    attributes jsonb,
    operation_id character varying NOT NULL,
    sequence bigint NOT NULL,
    at double precision NOT NULL,
    counts bytea NOT NULL
);
CREATE SEQUENCE public.annotations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.annotations_id_seq OWNED BY public.annotations.id;
CREATE TABLE public.assignments (
    image_id bigint NOT NULL,
    project_id bigint NOT NULL,
    name character varying NOT NULL
);
CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    name character varying NOT NULL,
    action character varying NOT NULL,
    subject character varying,
    detail jsonb,
    at double precision NOT NULL
);
CREATE SEQUENCE public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_log_id_seq OWNED BY public.audit_log.id;
CREATE TABLE public.categories (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    name character varying NOT NULL,
    colour character varying(7),
    digit integer,
    supercategory character varying,
    deleted boolean NOT NULL
);
CREATE SEQUENCE public.categories_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.categories_id_seq OWNED BY public.categories.id;
CREATE TABLE public.image_states (
    image_id bigint NOT NULL,
    project_id bigint NOT NULL,
    state character varying NOT NULL,
    note character varying,
    name character varying NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE public.images (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    path character varying NOT NULL,
    content_hash character varying(64) NOT NULL,
    perceptual_hash bigint,
    height integer NOT NULL,
    width integer NOT NULL,
    source character varying NOT NULL,
    external_id character varying,
    split character varying,
    group_name character varying,
    licence character varying,
    metadata jsonb,
    mask_count integer NOT NULL,
    sequence bigint NOT NULL,
    added_at double precision NOT NULL,
    deleted boolean NOT NULL
);
CREATE SEQUENCE public.images_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.images_id_seq OWNED BY public.images.id;
CREATE TABLE public.jobs (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    kind character varying NOT NULL,
    status character varying NOT NULL,
    settings jsonb,
    done integer NOT NULL,
    total integer,
    message character varying,
    owner character varying,
    token integer NOT NULL,
    at double precision NOT NULL,
    ended_at double precision
);
CREATE SEQUENCE public.jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.jobs_id_seq OWNED BY public.jobs.id;
CREATE TABLE public.leases (
    image_id bigint NOT NULL,
    project_id bigint NOT NULL,
    name character varying NOT NULL,
    expires_at double precision NOT NULL
);
CREATE TABLE public.mask_bins (
    project_id bigint NOT NULL,
    kind character varying NOT NULL,
    bin integer NOT NULL,
    masks integer NOT NULL
);
CREATE TABLE public.mask_groups (
    project_id bigint NOT NULL,
    category_id bigint NOT NULL,
    image_id bigint NOT NULL,
    stage character varying NOT NULL,
    review character varying NOT NULL,
    author character varying NOT NULL,
    masks integer NOT NULL,
    lowest_iou double precision
);
CREATE TABLE public.metrics (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    round_id bigint,
    model_id bigint,
    name character varying NOT NULL,
    value double precision,
    detail jsonb,
    at double precision NOT NULL
);
CREATE SEQUENCE public.metrics_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.metrics_id_seq OWNED BY public.metrics.id;
CREATE TABLE public.models (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    model_id character varying NOT NULL,
    name character varying NOT NULL,
    card jsonb,
    blob character varying(64),
    added_at double precision NOT NULL
);
CREATE SEQUENCE public.models_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.models_id_seq OWNED BY public.models.id;
CREATE TABLE public.operations (
    project_id bigint NOT NULL,
    operation_id character varying NOT NULL,
    digest character varying(64) NOT NULL,
    answer jsonb NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE public.projects (
    id bigint NOT NULL,
    uid character varying(32) NOT NULL,
    name character varying NOT NULL,
    created_at double precision NOT NULL,
    sequence bigint NOT NULL
);
CREATE SEQUENCE public.projects_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.projects_id_seq OWNED BY public.projects.id;
CREATE TABLE public.reviews (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    annotation_id bigint NOT NULL,
    version integer NOT NULL,
    verdict character varying NOT NULL,
    note character varying,
    name character varying NOT NULL,
    at double precision NOT NULL
);
CREATE SEQUENCE public.reviews_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.reviews_id_seq OWNED BY public.reviews.id;
CREATE TABLE public.rounds (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    number integer NOT NULL,
    stage character varying NOT NULL,
    status character varying NOT NULL,
    incumbent_id bigint,
    candidate_id bigint,
    snapshot_id bigint,
    settings jsonb,
    reason character varying,
    started_at double precision NOT NULL,
    ended_at double precision
);
CREATE SEQUENCE public.rounds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.rounds_id_seq OWNED BY public.rounds.id;
CREATE TABLE public.rule_sets (
    project_id bigint NOT NULL,
    version integer NOT NULL,
    rules jsonb NOT NULL,
    changed_by character varying NOT NULL,
    at double precision NOT NULL
);
CREATE TABLE public.schema_version (
    version integer NOT NULL
);
CREATE SEQUENCE public.schema_version_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.schema_version_version_seq OWNED BY public.schema_version.version;
CREATE TABLE public.sessions (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    digest character varying(64) NOT NULL,
    account_id bigint,
    name character varying(64) NOT NULL,
    expires_at double precision NOT NULL,
    at double precision NOT NULL
);
CREATE SEQUENCE public.sessions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.sessions_id_seq OWNED BY public.sessions.id;
CREATE TABLE public.snapshot_annotations (
    snapshot_id bigint NOT NULL,
    annotation_id bigint NOT NULL,
    version integer NOT NULL
);
CREATE TABLE public.snapshot_images (
    snapshot_id bigint NOT NULL,
    image_id bigint NOT NULL,
    split character varying NOT NULL
);
CREATE TABLE public.snapshots (
    id bigint NOT NULL,
    project_id bigint NOT NULL,
    name character varying NOT NULL,
    digest character varying(64) NOT NULL,
    statistics jsonb NOT NULL,
    settings jsonb NOT NULL,
    at double precision NOT NULL
);
CREATE SEQUENCE public.snapshots_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.snapshots_id_seq OWNED BY public.snapshots.id;
CREATE TABLE public.strokes (
    image_id bigint NOT NULL,
    project_id bigint NOT NULL,
    version integer NOT NULL,
    drawn jsonb NOT NULL,
    changed_by character varying NOT NULL,
    at double precision NOT NULL
);
ALTER TABLE ONLY public.accounts ALTER COLUMN id SET DEFAULT nextval('public.accounts_id_seq'::regclass);
ALTER TABLE ONLY public.annotations ALTER COLUMN id SET DEFAULT nextval('public.annotations_id_seq'::regclass);
ALTER TABLE ONLY public.audit_log ALTER COLUMN id SET DEFAULT nextval('public.audit_log_id_seq'::regclass);
ALTER TABLE ONLY public.categories ALTER COLUMN id SET DEFAULT nextval('public.categories_id_seq'::regclass);
ALTER TABLE ONLY public.images ALTER COLUMN id SET DEFAULT nextval('public.images_id_seq'::regclass);
ALTER TABLE ONLY public.jobs ALTER COLUMN id SET DEFAULT nextval('public.jobs_id_seq'::regclass);
ALTER TABLE ONLY public.metrics ALTER COLUMN id SET DEFAULT nextval('public.metrics_id_seq'::regclass);
ALTER TABLE ONLY public.models ALTER COLUMN id SET DEFAULT nextval('public.models_id_seq'::regclass);
ALTER TABLE ONLY public.projects ALTER COLUMN id SET DEFAULT nextval('public.projects_id_seq'::regclass);
ALTER TABLE ONLY public.reviews ALTER COLUMN id SET DEFAULT nextval('public.reviews_id_seq'::regclass);
ALTER TABLE ONLY public.rounds ALTER COLUMN id SET DEFAULT nextval('public.rounds_id_seq'::regclass);
ALTER TABLE ONLY public.schema_version ALTER COLUMN version SET DEFAULT nextval('public.schema_version_version_seq'::regclass);
ALTER TABLE ONLY public.sessions ALTER COLUMN id SET DEFAULT nextval('public.sessions_id_seq'::regclass);
ALTER TABLE ONLY public.snapshots ALTER COLUMN id SET DEFAULT nextval('public.snapshots_id_seq'::regclass);
INSERT INTO public.accounts (id, project_id, name, role, password_hash, disabled, created_at) VALUES (1, 1, 'ann', 'admin', 'h', false, 0);
INSERT INTO public.annotation_keys (project_id, key, annotation_id) VALUES (1, 'k', 1);
INSERT INTO public.annotation_versions (id, project_id, image_id, version, deleted, category_id, is_crowd, made_by, author, model_id, round_id, stage, review, changed_by, seconds, clicks, edits, predicted_iou, stability_score, area, x0, y0, x1, y1, relative_size, centre_x, centre_y, prompts, candidates, attributes, operation_id, sequence, at, counts) VALUES (1, 1, 1, 1, false, NULL, false, 'person', 'ann', NULL, NULL, 'assisted', NULL, 'ann', NULL, NULL, NULL, NULL, NULL, 9, 1, 1, 4, 4, 0.4330127018922193, 0.3125, 0.4166666666666667, NULL, NULL, NULL, 'one', 3, 1795320732.4125488, '\x3733333030306730');
INSERT INTO public.annotations (id, project_id, image_id, version, deleted, category_id, is_crowd, made_by, author, model_id, round_id, stage, review, changed_by, seconds, clicks, edits, predicted_iou, stability_score, area, x0, y0, x1, y1, relative_size, centre_x, centre_y, prompts, candidates, attributes, operation_id, sequence, at, counts) VALUES (1, 1, 1, 2, false, NULL, false, 'person', 'ann', NULL, NULL, 'assisted', NULL, 'ann', NULL, NULL, NULL, NULL, NULL, 8, 0, 5, 8, 6, 0.408248290463863, 0.5, 0.9166666666666666, NULL, NULL, NULL, 'two', 4, 1795320732.439049, '\x35313530303030303030303030303030');
INSERT INTO public.assignments (image_id, project_id, name) VALUES (1, 1, 'ann');
INSERT INTO public.audit_log (id, project_id, name, action, subject, detail, at) VALUES (1, 1, 'ann', 'signed in', NULL, NULL, 0);
INSERT INTO public.categories (id, project_id, name, colour, digit, supercategory, deleted) VALUES (1, 1, 'cat', '#e6194b', NULL, NULL, false);
INSERT INTO public.image_states (image_id, project_id, state, note, name, at) VALUES (1, 1, 'complete', NULL, 'ann', 0);
INSERT INTO public.images (id, project_id, path, content_hash, perceptual_hash, height, width, source, external_id, split, group_name, licence, metadata, mask_count, sequence, added_at, deleted) VALUES (1, 1, 'one.jpg', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', NULL, 6, 8, 'album', NULL, NULL, NULL, NULL, NULL, 1, 1, 1795320732.3981645, false);
INSERT INTO public.jobs (id, project_id, kind, status, settings, done, total, message, owner, token, at, ended_at) VALUES (1, 1, 'train', 'queued', NULL, 0, NULL, NULL, NULL, 0, 0, NULL);
INSERT INTO public.leases (image_id, project_id, name, expires_at) VALUES (1, 1, 'ann', 0);
INSERT INTO public.mask_bins (project_id, kind, bin, masks) VALUES (1, 'centre', 426, 0);
INSERT INTO public.mask_bins (project_id, kind, bin, masks) VALUES (1, 'centre', 944, 1);
INSERT INTO public.mask_bins (project_id, kind, bin, masks) VALUES (1, 'size', 20, 1);
INSERT INTO public.mask_bins (project_id, kind, bin, masks) VALUES (1, 'size', 21, 0);
INSERT INTO public.mask_groups (project_id, category_id, image_id, stage, review, author, masks, lowest_iou) VALUES (1, -1, 1, 'assisted', 'unreviewed', 'ann', 1, NULL);
INSERT INTO public.mask_groups (project_id, category_id, image_id, stage, review, author, masks, lowest_iou) VALUES (1, 0, 1, 'assisted', 'unreviewed', 'ann', 1, NULL);
INSERT INTO public.metrics (id, project_id, round_id, model_id, name, value, detail, at) VALUES (1, 1, 1, 1, 'iou', 0.5, NULL, 0);
INSERT INTO public.models (id, project_id, model_id, name, card, blob, added_at) VALUES (1, 1, 'm', 'm', NULL, NULL, 0);
INSERT INTO public.operations (project_id, operation_id, digest, answer, sequence) VALUES (1, 'one', '3287732f81b2b88ebc3c068f69c4307d82fa96c6b88b8d591cb222b723f4601f', '[[1, 1]]', 3);
INSERT INTO public.operations (project_id, operation_id, digest, answer, sequence) VALUES (1, 'two', 'e9f39e55e9bf77d9dfc495e1753b0a8763ec27cb653afd9a8741776805fbd861', '[[1, 2]]', 4);
INSERT INTO public.projects (id, uid, name, created_at, sequence) VALUES (1, '084e4e2df17520db0ab800cc91a809c9', 'dumped', 1795320732.3569813, 4);
INSERT INTO public.reviews (id, project_id, annotation_id, version, verdict, note, name, at) VALUES (1, 1, 1, 1, 'accepted', NULL, 'ann', 0);
INSERT INTO public.rounds (id, project_id, number, stage, status, incumbent_id, candidate_id, snapshot_id, settings, reason, started_at, ended_at) VALUES (1, 1, 1, 'assisted', 'open', NULL, 1, 1, NULL, NULL, 0, NULL);
INSERT INTO public.rule_sets (project_id, version, rules, changed_by, at) VALUES (1, 1, '{}', 'ann', 0);
INSERT INTO public.schema_version (version) VALUES (2);
INSERT INTO public.sessions (id, project_id, digest, account_id, name, expires_at, at) VALUES (1, 1, 'of 084e4e2df17520db0ab800cc91a809c9', NULL, 'ann', 0, 0);
INSERT INTO public.snapshot_annotations (snapshot_id, annotation_id, version) VALUES (1, 1, 1);
INSERT INTO public.snapshot_images (snapshot_id, image_id, split) VALUES (1, 1, 'val');
INSERT INTO public.snapshots (id, project_id, name, digest, statistics, settings, at) VALUES (1, 1, 's', 'd', '{}', '{}', 0);
INSERT INTO public.strokes (image_id, project_id, version, drawn, changed_by, at) VALUES (1, 1, 1, '[]', 'ann', 0);
SELECT pg_catalog.setval('public.accounts_id_seq', 1, true);
SELECT pg_catalog.setval('public.annotations_id_seq', 1, true);
SELECT pg_catalog.setval('public.audit_log_id_seq', 1, true);
SELECT pg_catalog.setval('public.categories_id_seq', 1, true);
SELECT pg_catalog.setval('public.images_id_seq', 1, true);
SELECT pg_catalog.setval('public.jobs_id_seq', 1, true);
SELECT pg_catalog.setval('public.metrics_id_seq', 1, true);
SELECT pg_catalog.setval('public.models_id_seq', 1, true);
SELECT pg_catalog.setval('public.projects_id_seq', 1, true);
SELECT pg_catalog.setval('public.reviews_id_seq', 1, true);
SELECT pg_catalog.setval('public.rounds_id_seq', 1, true);
SELECT pg_catalog.setval('public.schema_version_version_seq', 1, false);
SELECT pg_catalog.setval('public.sessions_id_seq', 1, true);
SELECT pg_catalog.setval('public.snapshots_id_seq', 1, true);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);
ALTER TABLE ONLY public.annotation_keys
    ADD CONSTRAINT pk_annotation_keys PRIMARY KEY (project_id, key);
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT pk_annotation_versions PRIMARY KEY (id, version);
ALTER TABLE ONLY public.annotations
    ADD CONSTRAINT pk_annotations PRIMARY KEY (id);
ALTER TABLE ONLY public.assignments
    ADD CONSTRAINT pk_assignments PRIMARY KEY (image_id);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT pk_audit_log PRIMARY KEY (id);
ALTER TABLE ONLY public.categories
    ADD CONSTRAINT pk_categories PRIMARY KEY (id);
ALTER TABLE ONLY public.image_states
    ADD CONSTRAINT pk_image_states PRIMARY KEY (image_id);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT pk_images PRIMARY KEY (id);
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT pk_jobs PRIMARY KEY (id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (image_id);
ALTER TABLE ONLY public.mask_bins
    ADD CONSTRAINT pk_mask_bins PRIMARY KEY (project_id, kind, bin);
ALTER TABLE ONLY public.mask_groups
    ADD CONSTRAINT pk_mask_groups PRIMARY KEY (project_id, category_id, image_id, stage, review, author);
ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT pk_metrics PRIMARY KEY (id);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT pk_models PRIMARY KEY (id);
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT pk_operations PRIMARY KEY (project_id, operation_id);
ALTER TABLE ONLY public.projects
    ADD CONSTRAINT pk_projects PRIMARY KEY (id);
ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT pk_reviews PRIMARY KEY (id);
ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT pk_rounds PRIMARY KEY (id);
ALTER TABLE ONLY public.rule_sets
    ADD CONSTRAINT pk_rule_sets PRIMARY KEY (project_id);
ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT pk_schema_version PRIMARY KEY (version);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (id);
ALTER TABLE ONLY public.snapshot_annotations
    ADD CONSTRAINT pk_snapshot_annotations PRIMARY KEY (snapshot_id, annotation_id);
ALTER TABLE ONLY public.snapshot_images
    ADD CONSTRAINT pk_snapshot_images PRIMARY KEY (snapshot_id, image_id);
ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT pk_snapshots PRIMARY KEY (id);
ALTER TABLE ONLY public.strokes
    ADD CONSTRAINT pk_strokes PRIMARY KEY (image_id);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_project_id UNIQUE (project_id, name);
ALTER TABLE ONLY public.annotation_keys
    ADD CONSTRAINT uq_annotation_keys_annotation_id UNIQUE (annotation_id);
ALTER TABLE ONLY public.categories
    ADD CONSTRAINT uq_categories_project_id UNIQUE (project_id, name);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT uq_images_project_id UNIQUE (project_id, path);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT uq_models_project_id UNIQUE (project_id, model_id);
ALTER TABLE ONLY public.projects
    ADD CONSTRAINT uq_projects_uid UNIQUE (uid);
ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT uq_rounds_project_id UNIQUE (project_id, number);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT uq_sessions_digest UNIQUE (digest);
ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT uq_snapshots_project_id UNIQUE (project_id, name);
CREATE INDEX ix_annotation_versions_image ON public.annotation_versions USING btree (image_id);
CREATE INDEX ix_annotations_image ON public.annotations USING btree (image_id);
CREATE INDEX ix_annotations_sequence ON public.annotations USING btree (project_id, sequence);
CREATE INDEX ix_assignments_name ON public.assignments USING btree (project_id, name, image_id);
CREATE INDEX ix_audit_log_order ON public.audit_log USING btree (project_id, id);
CREATE INDEX ix_image_states_state ON public.image_states USING btree (project_id, state, image_id);
CREATE INDEX ix_images_group ON public.images USING btree (project_id, group_name);
CREATE INDEX ix_images_hash ON public.images USING btree (project_id, content_hash);
CREATE INDEX ix_images_page ON public.images USING btree (project_id, deleted, id, mask_count, split, source);
CREATE INDEX ix_images_source ON public.images USING btree (project_id, deleted, source, id);
CREATE INDEX ix_images_split ON public.images USING btree (project_id, deleted, split, id);
CREATE INDEX ix_jobs_status ON public.jobs USING btree (project_id, status);
CREATE INDEX ix_metrics_name ON public.metrics USING btree (project_id, name);
CREATE INDEX ix_reviews_annotation ON public.reviews USING btree (annotation_id, id);
CREATE INDEX ix_sessions_account ON public.sessions USING btree (account_id);
CREATE INDEX ix_snapshot_annotations_annotation ON public.snapshot_annotations USING btree (annotation_id);
CREATE INDEX ix_snapshot_images_image ON public.snapshot_images USING btree (image_id);
CREATE INDEX ix_strokes_project ON public.strokes USING btree (project_id, image_id);
ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT fk_accounts_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.annotation_keys
    ADD CONSTRAINT fk_annotation_keys_annotation_id_annotations FOREIGN KEY (annotation_id) REFERENCES public.annotations(id);
ALTER TABLE ONLY public.annotation_keys
    ADD CONSTRAINT fk_annotation_keys_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT fk_annotation_versions_category_id_categories FOREIGN KEY (category_id) REFERENCES public.categories(id);
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT fk_annotation_versions_id_annotations FOREIGN KEY (id) REFERENCES public.annotations(id);
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT fk_annotation_versions_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT fk_annotation_versions_model_id_models FOREIGN KEY (model_id) REFERENCES public.models(id);
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT fk_annotation_versions_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.annotation_versions
    ADD CONSTRAINT fk_annotation_versions_round_id_rounds FOREIGN KEY (round_id) REFERENCES public.rounds(id);
ALTER TABLE ONLY public.annotations
    ADD CONSTRAINT fk_annotations_category_id_categories FOREIGN KEY (category_id) REFERENCES public.categories(id);
ALTER TABLE ONLY public.annotations
    ADD CONSTRAINT fk_annotations_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.annotations
    ADD CONSTRAINT fk_annotations_model_id_models FOREIGN KEY (model_id) REFERENCES public.models(id);
ALTER TABLE ONLY public.annotations
    ADD CONSTRAINT fk_annotations_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.annotations
    ADD CONSTRAINT fk_annotations_round_id_rounds FOREIGN KEY (round_id) REFERENCES public.rounds(id);
ALTER TABLE ONLY public.assignments
    ADD CONSTRAINT fk_assignments_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.assignments
    ADD CONSTRAINT fk_assignments_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT fk_audit_log_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.categories
    ADD CONSTRAINT fk_categories_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.image_states
    ADD CONSTRAINT fk_image_states_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.image_states
    ADD CONSTRAINT fk_image_states_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.images
    ADD CONSTRAINT fk_images_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT fk_leases_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.leases
    ADD CONSTRAINT fk_leases_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.mask_bins
    ADD CONSTRAINT fk_mask_bins_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.mask_groups
    ADD CONSTRAINT fk_mask_groups_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT fk_metrics_model_id_models FOREIGN KEY (model_id) REFERENCES public.models(id);
ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT fk_metrics_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT fk_metrics_round_id_rounds FOREIGN KEY (round_id) REFERENCES public.rounds(id);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT fk_models_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.operations
    ADD CONSTRAINT fk_operations_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT fk_reviews_annotation_id_annotations FOREIGN KEY (annotation_id) REFERENCES public.annotations(id);
ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT fk_reviews_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT fk_rounds_candidate_id_models FOREIGN KEY (candidate_id) REFERENCES public.models(id);
ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT fk_rounds_incumbent_id_models FOREIGN KEY (incumbent_id) REFERENCES public.models(id);
ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT fk_rounds_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT fk_rounds_snapshot_id_snapshots FOREIGN KEY (snapshot_id) REFERENCES public.snapshots(id);
ALTER TABLE ONLY public.rule_sets
    ADD CONSTRAINT fk_rule_sets_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT fk_sessions_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT fk_sessions_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.snapshot_annotations
    ADD CONSTRAINT fk_snapshot_annotations_annotation_id_annotations FOREIGN KEY (annotation_id) REFERENCES public.annotations(id);
ALTER TABLE ONLY public.snapshot_annotations
    ADD CONSTRAINT fk_snapshot_annotations_snapshot_id_snapshots FOREIGN KEY (snapshot_id) REFERENCES public.snapshots(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.snapshot_images
    ADD CONSTRAINT fk_snapshot_images_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.snapshot_images
    ADD CONSTRAINT fk_snapshot_images_snapshot_id_snapshots FOREIGN KEY (snapshot_id) REFERENCES public.snapshots(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.snapshots
    ADD CONSTRAINT fk_snapshots_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.strokes
    ADD CONSTRAINT fk_strokes_image_id_images FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.strokes
    ADD CONSTRAINT fk_strokes_project_id_projects FOREIGN KEY (project_id) REFERENCES public.projects(id) ON DELETE CASCADE;
