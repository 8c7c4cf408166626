-- What the bots did: operations (the dashboard reads them), trades, their orders, and trading sessions.

-- The enum columns hold the application's member names (MARKET, not market).
CREATE TYPE tradeside AS ENUM ('BUY', 'SELL');
CREATE TYPE orderside AS ENUM ('BUY', 'SELL');
CREATE TYPE ordertype AS ENUM ('MARKET', 'LIMIT', 'STOP_LOSS', 'TAKE_PROFIT', 'STOP_LIMIT');
CREATE TYPE orderstatus AS ENUM ('PENDING', 'FILLED', 'PARTIALLY_FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED');

-- There is no type tradestatus, on purpose. The application has two enumerations of that name, one for trades.status
-- and one for trading_operations.status; a single type with the labels of the one refuses the rows of the other (with
-- those of trades, every operation fails). Both columns are varchar, which the application writes and reads as it is.

CREATE TABLE trading_operations (
    id             varchar PRIMARY KEY,
    bot_id         integer NOT NULL REFERENCES botconfig (id),
    user_id        integer NOT NULL REFERENCES "user" (id),
    symbol         varchar NOT NULL,
    side           tradeside NOT NULL,
    quantity       double precision NOT NULL,
    price          double precision NOT NULL,
    executed_price double precision,
    strategy       varchar NOT NULL,
    signal         varchar NOT NULL,
    algorithm_used varchar NOT NULL,
    confidence     double precision NOT NULL,
    pnl            double precision NOT NULL,
    commission     double precision NOT NULL,
    realized_pnl   double precision NOT NULL,
    status         varchar NOT NULL,
    created_at     timestamp NOT NULL,
    executed_at    timestamp,
    trade_metadata varchar
);

CREATE TABLE trades (
    id                      serial PRIMARY KEY,
    bot_id                  integer NOT NULL,
    symbol                  varchar NOT NULL,
    strategy                varchar NOT NULL,
    entry_price             double precision NOT NULL,
    exit_price              double precision,
    quantity                double precision NOT NULL,
    stop_loss_price         double precision,
    take_profit_price       double precision,
    status                  varchar NOT NULL,
    unrealized_pnl          double precision NOT NULL,
    realized_pnl            double precision,
    pnl_percentage          double precision,
    entry_market_conditions json,
    exit_market_conditions  json,
    opened_at               timestamp NOT NULL,
    closed_at               timestamp,
    duration_minutes        integer,
    total_commission        double precision NOT NULL,
    close_reason            varchar
);

CREATE INDEX ix_trades_bot_id ON trades (bot_id);
CREATE INDEX ix_trades_symbol ON trades (symbol);

CREATE TABLE trading_orders (
    id                       serial PRIMARY KEY,
    bot_id                   integer NOT NULL,
    symbol                   varchar NOT NULL,
    side                     orderside NOT NULL,
    order_type               ordertype NOT NULL,
    quantity                 double precision NOT NULL,
    price                    double precision,
    stop_price               double precision,
    status                   orderstatus NOT NULL,
    filled_quantity          double precision NOT NULL,
    avg_fill_price           double precision,
    market_price_at_creation double precision NOT NULL,
    strategy_applied         varchar NOT NULL,
    confidence_level         double precision NOT NULL,
    created_at               timestamp NOT NULL,
    updated_at               timestamp,
    filled_at                timestamp,
    commission               double precision NOT NULL,
    commission_asset         varchar NOT NULL,
    binance_order_id         varchar,
    trade_id                 integer REFERENCES trades (id)
);

CREATE INDEX ix_trading_orders_bot_id ON trading_orders (bot_id);
CREATE INDEX ix_trading_orders_symbol ON trading_orders (symbol);

CREATE TABLE trading_sessions (
    id                      serial PRIMARY KEY,
    bot_id                  integer NOT NULL,
    started_at              timestamp NOT NULL,
    ended_at                timestamp,
    total_trades            integer NOT NULL,
    winning_trades          integer NOT NULL,
    losing_trades           integer NOT NULL,
    total_pnl               double precision NOT NULL,
    total_commission        double precision NOT NULL,
    net_pnl                 double precision NOT NULL,
    win_rate                double precision NOT NULL,
    avg_win                 double precision NOT NULL,
    avg_loss                double precision NOT NULL,
    profit_factor           double precision NOT NULL,
    max_drawdown            double precision NOT NULL,
    max_drawdown_percentage double precision NOT NULL,
    starting_balance        double precision NOT NULL,
    ending_balance          double precision,
    strategy_distribution   json,
    symbol_distribution     json
);

CREATE INDEX ix_trading_sessions_bot_id ON trading_sessions (bot_id);
