INSERT INTO users (id, email, phone_number, created_at, updated_at, password_digest)
VALUES (1859, '.+driver@example.com', '07856 207372', '2025-06-01T09:30:15.123456Z', '2025-07-01T09:30:15.000001Z', '$argon2id$v=19$m=8,t=1,p=1$ISsYmk8g9418Vs67y7GBRw$Hrbtub14rnXQf4EtAIID94naWiV6/e4MLuCdKQmLCBA');
INSERT INTO users (id, email, created_at, updated_at, password_digest)
VALUES (7, 'no.profile@example.com', '2025-06-01T09:30:15.123456Z', '2025-06-01T09:30:15.123456Z', '$argon2id$v=19$m=8,t=1,p=1$ISsYmk8g9418Vs67y7GBRw$Hrbtub14rnXQf4EtAIID94naWiV6/e4MLuCdKQmLCBA');
INSERT INTO revoked_tokens (jti, expires_at)
VALUES ('7d2c6f9e-0c2b-4f0e-8d2e-6a1f6f5b9c11', '2200-01-01T00:00:00.000000Z');
INSERT INTO profiles (id, user_id, version, first_name, last_name, postcode, birth_date, start_date, contact_phone_number, bio, english_level, created_at, updated_at)
VALUES (707, 1859, 2, 'Zoë', 'Łuettgen', 'AB1', '2000-03-20', '2020-03-20', '07856 207372', 'Coaches 🚌', 'fluent', '2025-06-01T09:30:15.123456Z', '2025-07-01T09:30:15.000001Z');
INSERT INTO profile_versions (id, profile_id, user_id, version, first_name, last_name, postcode, birth_date, start_date, contact_phone_number, recorded_at, superseded_at)
VALUES (3, 707, 1859, 1, 'Zoe', 'Luettgen', 'AB1', '2000-03-20', '2020-03-20', '07856 207372', '2025-06-01T09:30:15.123456Z', '2025-07-01T09:30:15.000001Z');
INSERT INTO activities (id, profile_id, kind, started_on)
VALUES (5, 707, 'training', '2019-01-01');
INSERT INTO experiences (id, profile_id, company, job_title, started_on, ended_on, vehicle_types)
VALUES (6, 707, 'Coaches Ltd', 'Driver', '2018-01-01', '2019-01-01', '["coach"]');
INSERT INTO interviews (id, profile_id, interviewer, scheduled_at, status)
VALUES (8, 707, 'Ann', '2025-07-01T09:30:15.000001Z', 'planned');
INSERT INTO licenses (id, profile_id, category, number, penalty_points)
VALUES (9, 707, 'D', 'LUETT000', 3);
INSERT INTO reviews (id, profile_id, body, created_at, rating, reviewer)
VALUES (10, 707, 'Good.', '2025-06-01T09:30:15.123456Z', 5, 'Ann');
INSERT INTO blobs (id, key, filename, content_type, byte_size, checksum, created_at)
VALUES (11, 'k', 'cv.pdf', 'application/pdf', 1234, 'c', '2025-06-01T09:30:15.123456Z');
INSERT INTO attachments (id, profile_id, blob_id, slot, position, created_at)
VALUES (12, 707, 11, 'cv', 0, '2025-06-01T09:30:15.123456Z');
