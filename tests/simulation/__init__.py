"""The shop under a seeded scheduler: real code and real SQL; time, Kafka, provider and mail are simulated."""
