/*
 * Draws the ticket form after a moment, as a help centre does that first asks
 * its server which fields the form has.
 *
 * The page does nothing for the deflector: the loader waits until the form is there.
 */
(() => {
	'use strict';

	const FIELDS = [
		{ id: 'email', label: 'Your e-mail address', tag: 'input', type: 'email', autocomplete: 'email' },
		{ id: 'subject', label: 'Subject', tag: 'input', type: 'text' },
		{ id: 'description', label: 'What happened?', tag: 'textarea', rows: 6 },
	];

	function draw() {
		const form = document.createElement('form');
		Object.assign(form, { id: 'support-form', action: '/tickets', method: 'post' });
		for (const { label: text, tag, ...properties } of FIELDS) {
			const label = document.createElement('label');
			Object.assign(label, { htmlFor: properties.id, textContent: text });
			const field = document.createElement(tag);
			Object.assign(field, properties, { name: properties.id, required: true });
			form.append(label, field);
		}
		const button = document.createElement('button');
		Object.assign(button, { type: 'submit', textContent: 'Send ticket' });
		form.append(button);
		document.querySelector('#form-place').replaceChildren(form);
	}

	setTimeout(draw, 700);
})();
