-- Rights of the worker's database user: what it needs and nothing else. Replace the names in angle brackets; run as an administrator
-- after bin/migrate. The portal keeps the rights of the host's own user. bin/migrate needs a user who may create and alter tables.

CREATE USER IF NOT EXISTS '<user>'@'<worker host>' IDENTIFIED BY '<password>';

-- The host's tables: read only, and only what is needed. Module settings come through a view, because the table also holds secrets of
-- other modules and the keys of the storage administrator.
CREATE OR REPLACE SQL SECURITY DEFINER VIEW `<database>`.`e3_cloudbackup_worker_settings` AS
  SELECT `module`, `setting`, `value` FROM `<database>`.`tbladdonmodules`
  WHERE `module` = 'cloudstorage'
    AND (`setting` IN ('s3_endpoint', 's3_region', 's3_provider') OR `setting` LIKE 'cloudbackup\_%')
    AND `setting` NOT LIKE '%\_key'
    -- Of the secrets, workers need those that they refresh access to Google Drive and Dropbox with.
    AND (`setting` NOT LIKE '%secret%' OR `setting` IN ('cloudbackup_google_client_secret', 'cloudbackup_dropbox_client_secret'));
GRANT SELECT ON `<database>`.`e3_cloudbackup_worker_settings` TO '<user>'@'<worker host>';
GRANT SELECT (`id`, `email`, `firstname`, `lastname`) ON `<database>`.`tblclients` TO '<user>'@'<worker host>';
GRANT SELECT ON `<database>`.`tblhosting` TO '<user>'@'<worker host>';
GRANT SELECT ON `<database>`.`s3_users` TO '<user>'@'<worker host>';
GRANT SELECT ON `<database>`.`s3_buckets` TO '<user>'@'<worker host>';
GRANT SELECT ON `<database>`.`s3_user_access_keys` TO '<user>'@'<worker host>';

-- Our tables.
GRANT SELECT ON `<database>`.`e3_cloudbackup_migrations` TO '<user>'@'<worker host>';
GRANT SELECT ON `<database>`.`s3_cloudbackup_settings` TO '<user>'@'<worker host>';
-- Tokens that Google or Dropbox replace are stored by the worker, and a refused authorization is marked by it.
GRANT SELECT, UPDATE (`refresh_token_enc`, `status`, `meta`, `updated_at`) ON `<database>`.`s3_cloudbackup_sources` TO '<user>'@'<worker host>';
-- Prefixes and keys go with the data of a deleted job; keys that the database has lost are taken from the bucket.
GRANT SELECT, DELETE ON `<database>`.`s3_cloudbackup_prefixes` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT, DELETE ON `<database>`.`s3_cloudbackup_keys` TO '<user>'@'<worker host>';
GRANT SELECT, UPDATE ON `<database>`.`s3_cloudbackup_jobs` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT, UPDATE ON `<database>`.`s3_cloudbackup_runs` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT ON `<database>`.`s3_cloudbackup_run_events` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT ON `<database>`.`s3_cloudbackup_run_files` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT ON `<database>`.`s3_cloudbackup_drills` TO '<user>'@'<worker host>';
GRANT SELECT, UPDATE ON `<database>`.`s3_cloudbackup_run_commands` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT, UPDATE ON `<database>`.`s3_cloudbackup_restore_points` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT, UPDATE, DELETE ON `<database>`.`s3_cloudbackup_holds` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT, UPDATE ON `<database>`.`s3_cloudbackup_gates` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT, UPDATE, DELETE ON `<database>`.`s3_cloudbackup_workers` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT ON `<database>`.`s3_cloudbackup_outbox` TO '<user>'@'<worker host>';
GRANT SELECT, INSERT ON `<database>`.`s3_cloudbackup_audit` TO '<user>'@'<worker host>';
