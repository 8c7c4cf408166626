-- A user is verified, or has a verification token
-- Who can neither log in nor verify the address, because the token or its expiry was lost or changed on the way?
SELECT id,
       CASE WHEN verification_token IS NULL THEN 'not verified and no token'
            WHEN verification_expires IS NULL THEN 'a token without an expiry'
            WHEN verification_token !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN 'the token is not a UUID'
            ELSE 'the token is also that of another user' END AS reason
  FROM "user" AS u
 WHERE (NOT is_verified AND verification_token IS NULL)
    OR (verification_token IS NOT NULL
        AND (verification_expires IS NULL
             OR verification_token !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
             OR EXISTS (SELECT FROM "user" AS other
                         WHERE other.verification_token = u.verification_token AND other.id <> u.id)))
 ORDER BY id;
