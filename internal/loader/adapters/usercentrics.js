(...categories) => changed => () => ""
