-- A bot trades on an exchange of its own user
-- Which bots would trade with the keys of somebody else?
SELECT b.id, b.user_id, b.exchange_id, e.user_id AS owner_id
  FROM botconfig AS b JOIN userexchange AS e ON e.id = b.exchange_id
 WHERE e.user_id <> b.user_id
 ORDER BY b.id;
