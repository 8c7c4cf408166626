-- Every figure is a number that JSON can carry
-- Which bots make their user's list fail, because a figure is infinite or not a number?
SELECT id, "column"
  FROM botconfig,
       LATERAL (VALUES ('stake', stake), ('take_profit', take_profit), ('stop_loss', stop_loss), ('risk_percentage', risk_percentage),
                       ('min_volume', min_volume), ('min_entry_price', min_entry_price)) AS f ("column", figure)
 WHERE figure IN ('Infinity', '-Infinity', 'NaN')
 ORDER BY 1, 2;
