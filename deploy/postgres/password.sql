-- Tells the server the password of its owner that is in the secret file now; see docs/runbook.md, "Rotating passwords".
\set password `cat /run/secrets/postgres-postgres`
ALTER ROLE postgres PASSWORD :'password';
