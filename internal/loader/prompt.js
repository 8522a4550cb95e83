(content, form, choose) => { if (content) choose("no"); }
