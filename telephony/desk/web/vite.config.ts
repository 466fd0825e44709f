import { defineConfig } from 'vite'

export default defineConfig({
  // The server answers every path with its own headers; the pages must work wherever it mounts them.
  base: '/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../static',
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy is `default-src 'self'`: nothing may be inlined as data: or as a script in the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The map would lay a second copy of every line into the package.
    sourcemap: false,
  },
  server: { proxy: { '/api': { target: 'http://127.0.0.1:8080', ws: true, changeOrigin: false } } },
})
