-- A user's trading bots: what each one trades, how, and with which limits.
CREATE TABLE botconfig (
    id                  serial PRIMARY KEY,
    user_id             integer NOT NULL REFERENCES "user" (id),
    exchange_id         integer REFERENCES userexchange (id),
    name                varchar NOT NULL,
    symbol              varchar NOT NULL,
    base_currency       varchar NOT NULL,
    quote_currency      varchar NOT NULL,
    stake               double precision NOT NULL,
    strategy            varchar NOT NULL,
    "interval"          varchar NOT NULL,
    take_profit         double precision NOT NULL,
    stop_loss           double precision NOT NULL,
    dca_levels          integer NOT NULL,
    risk_percentage     double precision,
    market_type         varchar NOT NULL,
    leverage            integer,
    margin_type         varchar,
    min_volume          double precision,
    min_entry_price     double precision,
    max_orders_per_pair integer NOT NULL,
    entry_order_type    varchar NOT NULL,
    exit_order_type     varchar NOT NULL,
    tp_order_type       varchar NOT NULL,
    sl_order_type       varchar NOT NULL,
    trailing_stop       boolean NOT NULL,
    max_open_positions  integer NOT NULL,
    cooldown_minutes    integer NOT NULL,
    active              boolean NOT NULL,
    status              varchar NOT NULL,
    created_at          timestamp NOT NULL,
    updated_at          timestamp,
    last_trade_at       timestamp
);

CREATE INDEX ix_botconfig_symbol ON botconfig (symbol);
CREATE INDEX ix_botconfig_user_id ON botconfig (user_id);
