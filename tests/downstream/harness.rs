//! Runs `scenarios/` against TiDB, with a handler of this package's own.

use tidb_scenarios::handler::{Handlers, Next, State, StateContext, StateError, StateHandler};

/// Takes items from the stock in a transaction, and tells the others.
struct Sell {
    items: i64,
}

#[tidb_scenarios::async_trait]
impl StateHandler for Sell {
    async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
        let items = self.items;
        context.run("begin pessimistic").await?;
        let left: i64 = context
            .value_as("select items from stock where id = 1 for update")
            .await?;
        if left < items {
            context.run("rollback").await?;
            return Ok(Next::State(State::named("sold_out")));
        }
        context
            .run(&format!("update stock set items = items - {items} where id = 1"))
            .await?;
        context.run("commit").await?;
        context.add("sold", items.into())?;
        context.signal("sale");
        Ok(Next::End)
    }
}

fn main() -> std::process::ExitCode {
    let handlers = Handlers::new().with("sell", |with| {
        with.only(&["items"])?;
        Ok(Box::new(Sell {
            items: with.get("items")?,
        }))
    });
    tidb_scenarios::Harness::new("scenarios").handlers(handlers).run()
}
