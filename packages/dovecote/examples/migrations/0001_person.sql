-- Whom we greeted how often, and how often we heard of it.
CREATE TABLE person (
    name    text   NOT NULL PRIMARY KEY,
    greeted bigint NOT NULL,
    heard   bigint NOT NULL
);
