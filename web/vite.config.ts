import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

/** Where the Python package looks for the built pages; `hatch_build.py` may name another folder. */
const OUTPUT = process.env["MASKMILL_WEB_OUTPUT"] ?? "../src/maskmill/server/web";

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "browser", "module", "import"] },
  root: mode === "bench" ? "bench" : ".",
  base: "./",
  publicDir: mode === "bench" ? false : "public",
  worker: { format: "es" },
  build: {
    outDir: mode === "bench" ? (process.env["MASKMILL_BENCH_OUTPUT"] ?? "dist") : OUTPUT,
    emptyOutDir: true,
    target: "es2022",
    // The runtime is 14 MB by itself; a warning about size would only hide others.
    chunkSizeWarningLimit: 2000,
    // Inlined assets would be data: addresses, which the page's policy refuses for scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
}));
