-- A reset token is whole and has an expiry
-- Who cannot set a new password with the link in the mail, because the token or its expiry was lost or changed on the way?
SELECT id,
       CASE WHEN reset_token IS NULL THEN 'an expiry without a token'
            WHEN reset_expires IS NULL THEN 'a token without an expiry'
            WHEN reset_token !~ '^[A-Za-z0-9_-]{43}$' THEN 'not 43 URL-safe characters'
            ELSE 'the token is also that of another user' END AS reason
  FROM "user" AS u
 WHERE (reset_token IS NULL) <> (reset_expires IS NULL)
    OR reset_token !~ '^[A-Za-z0-9_-]{43}$'
    OR EXISTS (SELECT FROM "user" AS other WHERE other.reset_token = u.reset_token AND other.id <> u.id)
 ORDER BY id;
