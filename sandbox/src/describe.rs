//! Running the component that only describes itself, for `weft build`.

use super::bindings::describer::Describer;
use std::path::Path;
use wasmtime::{
    Engine, OptLevel, Store,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A guest that only describes itself: it may import WASI, and nothing is granted.
struct Description {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Description {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Runs the `describe` export of a component of world `describer` and returns its JSON. For `weft build`.
pub async fn describe(component: &Path) -> Result<String, String> {
    let run = async {
        let mut settings = wasmtime::Config::new();
        settings.concurrency_support(false).cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&settings)?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<Description>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let state = Description { wasi: WasiCtx::builder().inherit_stderr().build(), table: ResourceTable::new() };
        let mut store = Store::new(&engine, state);
        let describer = Describer::instantiate_async(&mut store, &component, &linker).await?;
        describer.call_describe(&mut store).await
    };
    run.await.map_err(|error: wasmtime::Error| format!("{error:#}"))
}
