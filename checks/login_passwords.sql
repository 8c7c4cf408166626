-- Every password is a bcrypt hash of cost 12
-- Which users cannot log in any more, because the hash of their password was cut, changed or made in another way?
SELECT id,
       CASE WHEN length(password_hash) <> 60 THEN 'not 60 characters'
            WHEN password_hash NOT LIKE '$2b$%' THEN 'not a bcrypt hash'
            WHEN password_hash NOT LIKE '$2b$12$%' THEN 'the cost is not 12'
            ELSE 'a character that bcrypt does not write' END AS reason
  FROM "user"
 WHERE password_hash !~ '^\$2b\$12\$[./A-Za-z0-9]{53}$'
 ORDER BY id;
