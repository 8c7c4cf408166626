-- Encrypted exchange keys are whole
-- Which stored keys can never be decrypted again, because they were cut or changed on the way?
SELECT "table", id, "column",
       CASE WHEN token IS NULL THEN 'a key without its secret'
            ELSE 'not a Fernet token in base64' END AS reason
  FROM (SELECT 'userexchange' AS "table", id, k."column", k.token, k.other
          FROM userexchange,
               LATERAL (VALUES ('encrypted_api_key', encrypted_api_key, encrypted_api_secret),
                               ('encrypted_api_secret', encrypted_api_secret, encrypted_api_key),
                               ('encrypted_passphrase', encrypted_passphrase, NULL)) AS k ("column", token, other)
        UNION ALL
        SELECT 'user', id, k."column", k.token, k.other
          FROM "user",
               LATERAL (VALUES ('encrypted_binance_testnet_key', encrypted_binance_testnet_key, encrypted_binance_testnet_secret),
                               ('encrypted_binance_testnet_secret', encrypted_binance_testnet_secret, encrypted_binance_testnet_key),
                               ('encrypted_binance_mainnet_key', encrypted_binance_mainnet_key, encrypted_binance_mainnet_secret),
                               ('encrypted_binance_mainnet_secret', encrypted_binance_mainnet_secret, encrypted_binance_mainnet_key)
                       ) AS k ("column", token, other)) AS keys
 WHERE (token IS NULL AND other IS NOT NULL)
    OR token !~ '^Z0FBQUFB[A-Za-z0-9+/]{92,}={0,2}$'
    OR length(token) % 4 <> 0
 ORDER BY 1, 2, 3;
