// A help centre that React hydrates as a whole document. The answer is JSON: its
// pages by their paths, and the script.
//
//	node site.cjs <suffix of the packages' names>
'use strict';
const { PassThrough } = require('node:stream');
const { text } = require('node:stream/consumers');

const { react, server, script } = require('../../internal/react/react.cjs')(process.argv[2] ?? '');

// site is what both sides render.
function site({ createElement, useEffect, useState }, path) {
	function Form({ go }) {
		const [ticket, setTicket] = useState({ email: '', subject: '', description: '' });
		const field = (type, name) => createElement(type, {
			id: name,
			name,
			value: ticket[name],
			onChange: ({ target }) => setTicket({ ...ticket, [name]: target.value }),
		});
		async function send(event) {
			event.preventDefault();
			await fetch('/tickets', { method: 'POST', body: new URLSearchParams(ticket) });
			go('/tickets/thanks');
		}
		return createElement('form', { id: 'support-form', onSubmit: send },
			field('input', 'email'), field('input', 'subject'), field('textarea', 'description'),
			createElement('button', { type: 'submit' }, 'Send'));
	}

	function Site() {
		const [at, setAt] = useState(path);
		useEffect(() => {
			const travel = () => setAt(location.pathname);
			addEventListener('popstate', travel);
			return () => removeEventListener('popstate', travel);
		}, []);
		const go = (to) => {
			history.pushState(null, '', to);
			setAt(to);
		};
		const link = (id, to, label) => createElement('a', {
			id,
			href: to,
			onClick(event) {
				event.preventDefault();
				go(to);
			},
		}, label);
		const title = { '/': 'Home', '/form': 'Form', '/tickets/thanks': 'Thanks' }[at];
		return createElement('html', { lang: 'en' },
			createElement('head', null,
				createElement('title', null, title),
				createElement('link', { rel: 'icon', href: 'data:,' })),
			createElement('body', null,
				createElement('nav', null, link('to-home', '/', 'Home'), ' ', link('to-form', '/form', 'New ticket')),
				createElement('main', null,
					createElement('h1', null, title),
					at === '/form' && createElement(Form, { go }))));
	}
	return createElement(Site);
}

function render(path) {
	return new Promise((resolve, reject) => {
		const stream = server.renderToPipeableStream(site(react, path), {
			bootstrapScripts: ['/client.js'],
			onError: reject,
			onAllReady: () => resolve(text(stream.pipe(new PassThrough()))),
		});
	});
}

(async () => {
	const pages = {};
	for (const path of ['/', '/form', '/tickets/thanks']) {
		pages[path] = await render(path);
	}
	process.stdout.write(JSON.stringify({ pages, client: script(`(react) => (${site})(react, location.pathname)`) }));
})();
