'use client';
import { useRouter } from 'next/navigation';
import { useState } from 'react';

export default function Form() {
	const router = useRouter();
	const [ticket, setTicket] = useState({ email: '', subject: '', description: '' });
	const field = (name) => ({
		id: name,
		name,
		value: ticket[name],
		onChange: ({ target }) => setTicket({ ...ticket, [name]: target.value }),
	});

	async function send(event) {
		event.preventDefault();
		await fetch('/tickets', { method: 'POST', body: new URLSearchParams(ticket) });
		router.push('/tickets/thanks');
	}

	return (
		<form id="support-form" onSubmit={send}>
			<input {...field('email')} /> <input {...field('subject')} /> <textarea {...field('description')} />{' '}
			<button type="submit">Send</button>
		</form>
	);
}
