//! What differs between the databases: the triggers that make money immutable.
use super::{Dialect, Error};
use sqlx::{AnyPool, Executor as _};

/// Creates the triggers that are not there yet.
pub(super) async fn create(pool: &AnyPool, dialect: Dialect) -> Result<(), Error> {
    let statements: &[&'static str] = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    for statement in statements {
        pool.execute(*statement).await?;
    }
    Ok(())
}

const SQLITE: &[&str] = &[
    "CREATE TRIGGER IF NOT EXISTS transfers_stay BEFORE UPDATE ON transfers
     BEGIN SELECT RAISE(ABORT, 'transfers are immutable'); END",
    "CREATE TRIGGER IF NOT EXISTS transfers_remain BEFORE DELETE ON transfers
     BEGIN SELECT RAISE(ABORT, 'transfers are immutable'); END",
    "CREATE TRIGGER IF NOT EXISTS resolutions_stay BEFORE UPDATE ON hold_resolutions
     BEGIN SELECT RAISE(ABORT, 'hold resolutions are immutable'); END",
    "CREATE TRIGGER IF NOT EXISTS resolutions_remain BEFORE DELETE ON hold_resolutions
     BEGIN SELECT RAISE(ABORT, 'hold resolutions are immutable'); END",
];

const POSTGRES: &[&str] = &[
    "CREATE OR REPLACE FUNCTION junglegrid_immutable() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN RAISE EXCEPTION '% rows are immutable', TG_TABLE_NAME; END $$",
    "CREATE OR REPLACE TRIGGER transfers_stay BEFORE UPDATE OR DELETE ON transfers
     FOR EACH ROW EXECUTE FUNCTION junglegrid_immutable()",
    "CREATE OR REPLACE TRIGGER resolutions_stay BEFORE UPDATE OR DELETE ON hold_resolutions
     FOR EACH ROW EXECUTE FUNCTION junglegrid_immutable()",
];
