// A page that React streams, with a boundary in its head that completes late, and
// the script that hydrates it. The answer is JSON: the page's two parts and the
// script.
//
//	node react.cjs <suffix of the packages' names>
'use strict';
const Module = require('node:module');
const { readFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { Writable } = require('node:stream');

// React's packages require each other by the names that they have in the registry.
const suffix = process.argv[2] ?? '';
const resolve = Module._resolveFilename;
const required = {}; // by folder, as Node.js caches them: which file each name stands for
Module._resolveFilename = function (name, parent, ...rest) {
	const file = resolve.call(this, name.replace(/^react(-dom)?(?=$|\/)/, '$&' + suffix), parent, ...rest);
	(required[parent.path] ??= {})[name] = file;
	return file;
};

// app is what both sides render.
function app({ createElement, lazy, Suspense, useEffect }, load) {
	const Late = lazy(() => load.then(() => ({ default: function Late() {
		useEffect(() => { window.completed = true; });
		return createElement('meta', { name: 'late', content: 'yes' });
	} })));
	function Form() {
		useEffect(() => { fetch('hydrated'); }, []); // which sends the page's rest
		return createElement('button', { onClick() { window.clicked = true; } }, 'send');
	}
	return createElement('html', { lang: 'en' },
		createElement('head', null,
			createElement('title', null, 't'),
			createElement('link', { rel: 'icon', href: 'data:,' }),
			createElement(Suspense, { fallback: null }, createElement(Late))),
		createElement('body', null, createElement(Form)));
}

// script is what a bundler makes of the client's side.
function script() {
	const files = new Set([require.resolve('react'), require.resolve('react-dom/client')]);
	for (const file of files) for (const found of Object.values(required[dirname(file)] ?? {})) files.add(found);
	const modules = [...files].map((file) => `${JSON.stringify(file)}: {
	folder: ${JSON.stringify(dirname(file))},
	run(module, exports, require) {${readFileSync(file)}\n},
}`);
	return `(() => {
const process = { env: {} }, required = ${JSON.stringify(required)}, loaded = {};
const modules = {${modules.join(',\n')}};
const load = (file) => {
	const { folder, run } = modules[file];
	if (!loaded[file]) run(loaded[file] = { exports: {} }, loaded[file].exports, (name) => load(required[folder][name]));
	return loaded[file].exports;
};
load(${JSON.stringify(require.resolve('react-dom/client'))}).hydrateRoot(document,
	(${app})(load(${JSON.stringify(require.resolve('react'))}), Promise.resolve()),
	{ onRecoverableError: (error) => console.error(String(error)) });
})()`;
}

require('react-dom/client');
const client = script(), page = [''];
let release;
const root = app(require('react'), new Promise((resolve) => { release = resolve; }));
const stream = require('react-dom/server').renderToPipeableStream(root, {
	bootstrapScripts: ['client.js'],
	onError(error) { throw error; },
	onShellReady() {
		stream.pipe(new Writable({
			write(chunk, _, next) { page[page.length - 1] += chunk; next(); },
			final() { process.stdout.write(JSON.stringify({ page, client })); },
		}));
		setImmediate(() => { page.push(''); release(); });
	},
});
