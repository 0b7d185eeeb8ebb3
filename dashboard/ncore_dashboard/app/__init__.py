"""Starting and serving: the command's child process, navigation, what is loaded ahead."""
