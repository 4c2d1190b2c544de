<?php
require 'common.php';
$id = (int)$_GET['id'];
$kept = cached("get document-$id\r\n");
if (!str_contains($kept, 'text')) {
    $body = rows("SELECT body FROM documents WHERE id = $id")[0]['body'] ?? 'text';
    cached("set document-$id 0 60 " . strlen($body) . "\r\n$body\r\n");
    $kept = $body;
}
echo htmlspecialchars($kept);
