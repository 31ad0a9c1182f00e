-- The sample service's own state: a note and how often it was told.
CREATE TABLE note (
    id      text   NOT NULL PRIMARY KEY,
    version bigint NOT NULL,
    text    text   NOT NULL
);
