// A page that React streams, with a boundary in its head that completes late, and
// the script that hydrates it. The answer is JSON: the page's two parts and the
// script.
//
//	node react.cjs <suffix of the packages' names>
'use strict';
const { Writable } = require('node:stream');

const { react, server, script } = require('../internal/react/react.cjs')(process.argv[2] ?? '');

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

const client = script(`(react) => (${app})(react, Promise.resolve())`), page = [''];
let release;
const root = app(react, new Promise((resolve) => { release = resolve; }));
const stream = server.renderToPipeableStream(root, {
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
